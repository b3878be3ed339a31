package template

import "fmt"

const typeFunction = "AWS::Serverless::Function"

// named is a resource that has a name of its own, by the property that holds
// it.
var named = map[string]string{
	"AWS::SQS::Queue":     "QueueName",
	"AWS::Logs::LogGroup": "LogGroupName",
}

// name is the physical name of a resource.
func (t *Template) name(id string) (string, error) {
	r, ok := t.file.Resources[id]
	if !ok {
		return "", fmt.Errorf("no resource %s", id)
	}
	if property := named[r.Type]; property != "" {
		for i := 0; i+1 < len(r.Properties.Content); i += 2 {
			if r.Properties.Content[i].Value == property {
				value, err := t.resolve(r.Properties.Content[i+1])
				return fmt.Sprint(value), err
			}
		}
	}
	return t.deployment.Stack + "-" + id, nil
}

// ref is what !Ref of a resource yields
// (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html).
func (t *Template) ref(id string) (string, error) {
	name, err := t.name(id)
	if err != nil {
		return "", err
	}
	switch kind := t.file.Resources[id].Type; kind {
	case "AWS::SQS::Queue":
		return fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", t.deployment.Region, t.deployment.Account, name), nil
	case "AWS::SecretsManager::Secret":
		return t.arn("secretsmanager", "secret:"+name+"-AbCdEf"), nil
	case "AWS::StepFunctions::StateMachine":
		return t.arn("states", "stateMachine:"+name), nil
	case "AWS::S3::Bucket":
		return lowered(name), nil
	case "AWS::DynamoDB::Table", typeFunction, "AWS::IAM::Role", "AWS::Logs::LogGroup", "AWS::Serverless::Api":
		return name, nil
	default:
		return "", fmt.Errorf("Ref of %s: a %s is not known", id, kind)
	}
}

// attribute is what !GetAtt of a resource yields.
func (t *Template) attribute(id, attribute string) (string, error) {
	name, err := t.name(id)
	if err != nil {
		return "", err
	}
	switch kind := t.file.Resources[id].Type; kind + "." + attribute {
	case "AWS::SQS::Queue.Arn":
		return t.arn("sqs", name), nil
	case "AWS::DynamoDB::Table.Arn":
		return t.arn("dynamodb", "table/"+name), nil
	case "AWS::DynamoDB::Table.StreamArn":
		return t.arn("dynamodb", "table/"+name+"/stream/label"), nil
	case typeFunction + ".Arn":
		return t.arn("lambda", "function:"+name), nil
	case "AWS::SecretsManager::Secret.Id":
		return t.ref(id)
	case "AWS::StepFunctions::StateMachine.Name":
		return name, nil
	case "AWS::IAM::Role.Arn":
		return fmt.Sprintf("arn:aws:iam::%s:role/%s", t.deployment.Account, name), nil
	case "AWS::S3::Bucket.Arn":
		return "arn:aws:s3:::" + lowered(name), nil
	default:
		return "", fmt.Errorf("GetAtt of %s: %s of a %s is not known", id, attribute, kind)
	}
}

func (t *Template) arn(service, resource string) string {
	return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, t.deployment.Region, t.deployment.Account, resource)
}
