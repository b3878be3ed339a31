package event_test

// Events as Lambda delivers them.
const (
	standardQueue = `{"Records":[
{"messageId":"059f36b4-87a3-44ab-83d2-661975830a7d","receiptHandle":"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a+/=",
 "body":"{\"order\":17,\"note\":\"caf\u00e9 \ud83d\ude00\\n\"}",
 "attributes":{"ApproximateReceiveCount":"3","AWSTraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
  "SentTimestamp":"1545082649183","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082649185",
  "DeadLetterQueueSourceArn":"arn:aws:sqs:us-east-2:123456789012:orders"},
 "messageAttributes":{
  "type":{"stringValue":"order.placed","stringListValues":[],"binaryListValues":[],"dataType":"String"},
  "amount":{"stringValue":"12.50","stringListValues":[],"binaryListValues":[],"dataType":"Number.float"},
  "digest":{"binaryValue":"AAH+/w==","stringListValues":[],"binaryListValues":[],"dataType":"Binary"}},
 "md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","md5OfMessageAttributes":"d25a6aea97eb8f585bfa92d314504a92",
 "eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:orders-dead","awsRegion":"us-east-2"},
{"messageId":"2e1424d4-f796-459a-8184-9c92662be6da","receiptHandle":"AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq","body":"plain",
 "attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1545082650636","SenderId":"AIDAIENQZJOLO23YVJ4VO","ApproximateFirstReceiveTimestamp":"1545082650649","MessageGroupId":"tenant-4"},
 "messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:orders-dead","awsRegion":"us-east-2"}]}`

	fifoQueue = `{"Records":[{"messageId":"11d6ee51-4cc7-4302-9e22-7cd8afdaadf5","receiptHandle":"AQEBBX8nesZEXmkhsmZeyIE8iQAMig7qw",
 "body":"Test message.","attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1573251510774","SequenceNumber":"18849496460467696128",
 "MessageGroupId":"1","SenderId":"AIDAIO23YVJENQZJOL4VO","MessageDeduplicationId":"1","ApproximateFirstReceiveTimestamp":"1573251510774"},
 "messageAttributes":{},"md5OfBody":"e4e68fb7bd0e697a0ae8f1bb342846b3","eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:us-east-2:123456789012:fifo.fifo","awsRegion":"us-east-2"}]}`

	kinesisStream = `{"Records":[
{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"customer-1","sequenceNumber":"49590338271490256608559692538361571095921575989136588898",
  "data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==","approximateArrivalTimestamp":1545084650.987,"encryptionType":"NONE"},
 "eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
 "eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"us-east-2",
 "eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/orders"},
{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"\u00fc\"","sequenceNumber":"49590338271490256608559692540925702759324208523137515618",
  "data":"AP8=","approximateArrivalTimestamp":1545084711},
 "eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"shardId-000000000006:49590338271490256608559692540925702759324208523137515618",
 "eventName":"aws:kinesis:record","invokeIdentityArn":"arn:aws:iam::123456789012:role/lambda-role","awsRegion":"us-east-2",
 "eventSourceARN":"arn:aws:kinesis:us-east-2:123456789012:stream/orders"}]}`

	tableStream = `{"Records":[
{"eventID":"c4ca4238a0b923820dcc509a6f75849b","eventName":"INSERT","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",
 "dynamodb":{"Keys":{"sk":{"N":"101"},"pk":{"S":"a b"}},
  "NewImage":{"pk":{"S":"a b"},"sk":{"N":"101"},"big":{"N":"123456789012345678901234567890.12345678"},"tiny":{"N":"1E-130"},"on":{"BOOL":true},"off":{"BOOL":false},
   "none":{"NULL":true},"bin":{"B":"AAEqQQ=="},"map":{"M":{"x":{"L":[{"S":"\u00e9<&>"},{"M":{}},{"L":[]}]}}},
   "ss":{"SS":["a","b"]},"ns":{"NS":["1","-2.5"]},"bs":{"BS":["AAE=","QQ=="]}},
  "ApproximateCreationDateTime":1479499740,"StreamViewType":"NEW_AND_OLD_IMAGES","SequenceNumber":"4421584500000000017450439091","SizeBytes":226},
 "eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899"},
{"eventID":"c81e728d9d4c2f636f067f89cc14862c","eventName":"MODIFY","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",
 "dynamodb":{"Keys":{"pk":{"S":"a b"},"sk":{"N":"101"}},"NewImage":{"n":{"N":"2"}},"OldImage":{"n":{"N":"1"}},"SequenceNumber":"4421584500000000017450439092",
  "ApproximateCreationDateTime":1479499740.5,"SizeBytes":59,"StreamViewType":"NEW_AND_OLD_IMAGES"},
 "eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899"},
{"eventID":"eccbc87e4b5ce2fe28308fd9f2a7baf3","eventName":"REMOVE","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1",
 "userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"},
 "dynamodb":{"Keys":{"pk":{"S":"c"},"sk":{"N":"1"}},"OldImage":{"n":{"N":"1"}},"SequenceNumber":"4421584500000000017450439093","SizeBytes":38,"StreamViewType":"NEW_AND_OLD_IMAGES"},
 "eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/2015-06-27T00:48:05.899"}]}`
)

var samples = []string{standardQueue, fifoQueue, kinesisStream, tableStream}
