package awsproxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/awsproxy"
)

// The SDK repeats a write whose answer was lost; the write happens twice.
func Example() {
	emulator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, "{}")
	}))
	defer emulator.Close()
	target, err := url.Parse(emulator.URL)
	if err != nil {
		panic(err)
	}

	p := awsproxy.New(target, &awsproxy.Options{Seed: 1})
	endpoint, stop, err := p.Start(context.Background())
	if err != nil {
		panic(err)
	}
	defer stop()
	client := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})

	lost := p.Inject(awsproxy.Fault{
		Service: "dynamodb", Operation: "PutItem",
		When: awsproxy.After, Error: awsproxy.Reset, Times: 1,
	})
	before := p.Snapshot()
	_, err = client.PutItem(context.Background(), &dynamodb.PutItemInput{
		TableName: aws.String("tasks"),
		Item:      map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "a"}},
	})
	fmt.Println("error:", err)
	used := p.Snapshot().Sub(before)
	fmt.Println("forwarded:", used.Of("dynamodb", "PutItem").Forwarded, "lost:", lost.Fired())
	// Output:
	// error: <nil>
	// forwarded: 2 lost: 1
}
