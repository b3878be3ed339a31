package workqueuetest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// checkAttributes finds what SQS refuses of message attributes
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html).
func checkAttributes(attributes map[string]types.MessageAttributeValue) error {
	if n := len(attributes); n > maxAttributes {
		return invalid("Number of message attributes [%d] exceeds the allowed maximum [%d].", n, maxAttributes)
	}
	for name, v := range attributes {
		if err := checkAttribute(name, v); err != nil {
			return err
		}
	}
	return nil
}

var (
	attributeName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	number        = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)
)

func checkAttribute(name string, v types.MessageAttributeValue) error {
	lower, dataType := strings.ToLower(name), aws.ToString(v.DataType)
	kind, _, _ := strings.Cut(dataType, ".")
	text := aws.ToString(v.StringValue)
	switch {
	case len(name) > 256:
		return invalid("Message (user) attribute name can be at most 256 characters long.")
	case strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon."):
		return invalid("Message (user) attribute name '%s' starts with a prefix that is reserved: AWS. or Amazon.", name)
	case !attributeName.MatchString(name):
		return invalid("Message (user) attribute name '%s' is invalid: letters, digits, '_', '-' and single periods that are neither first nor last.", name)
	case len(dataType) > 256 || !allowed(dataType):
		return invalid("The type of message (user) attribute '%s' is invalid.", name)
	case kind != "String" && kind != "Number" && kind != "Binary":
		return invalid("The type of message (user) attribute '%s' is invalid. You must use only the following supported type prefixes: Binary, Number, String.", name)
	case len(v.StringListValues) > 0 || len(v.BinaryListValues) > 0:
		return invalid("Message (user) attribute '%s' is a list, which is reserved for future use.", name)
	case kind == "Binary" && (len(v.BinaryValue) == 0 || v.StringValue != nil), kind != "Binary" && (text == "" || v.BinaryValue != nil):
		return invalid("Message (user) attribute '%s' must contain a non-empty value of type '%s'.", name, kind)
	case !allowed(text):
		return invalid("Message (user) attribute '%s' contains invalid characters.", name)
	case kind == "Number" && !number.MatchString(text):
		return invalid("Can't cast the value of message (user) attribute '%s' to a number.", name)
	}
	return nil
}

// checkSystemAttributes takes AWSTraceHeader alone
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html).
func checkSystemAttributes(attributes map[string]types.MessageSystemAttributeValue) error {
	for name, v := range attributes {
		text := aws.ToString(v.StringValue)
		switch {
		case name != string(types.MessageSystemAttributeNameForSendsAWSTraceHeader):
			return invalid("Message system attribute name '%s' is invalid.", name)
		case aws.ToString(v.DataType) != "String" || text == "" || !allowed(text):
			return invalid("Message system attribute '%s' must contain a non-empty value of type 'String'.", name)
		}
	}
	return nil
}

// chosen are the message attributes that a receive asked for: their names,
// prefixes that end in .*, or All
// (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html).
func chosen(attributes map[string]types.MessageAttributeValue, asked []string) map[string]types.MessageAttributeValue {
	var out map[string]types.MessageAttributeValue
	for name, v := range attributes {
		wanted := slices.ContainsFunc(asked, func(a string) bool {
			prefix, isPrefix := strings.CutSuffix(a, ".*")
			return a == "All" || a == name || isPrefix && strings.HasPrefix(name, prefix)
		})
		if wanted {
			if out == nil {
				out = map[string]types.MessageAttributeValue{}
			}
			out[name] = v
		}
	}
	return out
}
