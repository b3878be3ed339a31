package probe

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const stackGuide = "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/"

var stackFeatures = []Feature{
	{
		UnknownType, "CloudFormation", "types that do not exist", "make the deployment fail",
		stackGuide + "resources-section-structure.html", tryUnknownType,
	},
	{
		Rollback, "CloudFormation", "rollback", "removes what was made when the rest cannot be",
		stackGuide + "stack-failure-options.html", tryRollback,
	},
	{
		DynamicReference, "CloudFormation", "dynamic references", "{{resolve:secretsmanager:…}} is replaced by the secret",
		stackGuide + "dynamic-references-secretsmanager.html", tryDynamicReference,
	},
	{
		GenerateSecret, "CloudFormation", "generated secrets", "are as long as asked for and without the characters that are excluded",
		"https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-secretsmanager-secret-generatesecretstring.html", tryGenerateSecret,
	},
	{
		DeletionPolicy, "CloudFormation", "retention", "DeletionPolicy: Retain keeps a resource when its stack is deleted",
		stackGuide + "aws-attribute-deletionpolicy.html", tryDeletionPolicy,
	},
}

// stack makes a stack, waits until it is done, and returns its status and why;
// REFUSED if it was not even begun.
func (b *bench) stack(ctx context.Context, resources object) (status, why string, err error) {
	_, err = b.api.query(ctx, "cloudformation", "CreateStack", map[string]string{
		"StackName": b.name, "TemplateBody": compact(object{"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}),
	})
	if refusal(err) != "" && !unimplemented(err) {
		return "REFUSED", err.Error(), nil
	}
	if err != nil {
		return "", "", err
	}
	b.laterQuery("cloudformation", "DeleteStack", map[string]string{"StackName": b.name})
	return b.stackEnds(ctx)
}

// stackEnds waits until nothing is being done to the stack; GONE if it is no
// more.
func (b *bench) stackEnds(ctx context.Context) (status, why string, err error) {
	done, err := until(ctx, 75*time.Second, func() (bool, error) {
		answer, err := b.api.query(ctx, "cloudformation", "DescribeStacks", map[string]string{"StackName": b.name})
		if refusal(err) != "" && strings.Contains(err.Error(), "not exist") {
			status = "GONE"
			return true, nil
		}
		if err != nil {
			return false, err
		}
		var out struct {
			Status string `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
			Why    string `xml:"DescribeStacksResult>Stacks>member>StackStatusReason"`
		}
		err = decodeXML(answer, &out)
		status, why = out.Status, out.Why
		return err == nil && !strings.HasSuffix(status, "_IN_PROGRESS"), err
	})
	if err == nil && !done {
		err = fmt.Errorf("the stack is still %s: %w", status, context.DeadlineExceeded)
	}
	return status, why, err
}

func (b *bench) queueExists(ctx context.Context, name string) (bool, error) {
	_, err := b.api.json(ctx, "sqs", "GetQueueUrl", object{"QueueName": name})
	if refusal(err) != "" {
		return false, nil
	}
	return err == nil, err
}

// tryUnknownType deploys what does not exist anywhere.
func tryUnknownType(ctx context.Context, b *bench) (Result, error) {
	status, _, err := b.stack(ctx, object{"Thing": object{"Type": "AWS::SQS::NoSuchThing", "Properties": object{}}})
	if err != nil {
		return Result{}, err
	}
	if status == "CREATE_COMPLETE" {
		return missing("counts as made")
	}
	return asOnAWS()
}

// tryRollback makes a queue, and then one that cannot be made: its name has a
// character that none may have, and its dead-letter queue does not exist.
func tryRollback(ctx context.Context, b *bench) (Result, error) {
	status, why, err := b.stack(ctx, object{
		"Queue": object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": b.name}},
		"Other": object{"Type": "AWS::SQS::Queue", "DependsOn": "Queue", "Properties": object{
			"QueueName":     b.name + "!",
			"RedrivePolicy": object{"maxReceiveCount": 1, "deadLetterTargetArn": object{"Fn::Sub": "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + b.name + "-absent"}},
		}},
	})
	if err != nil {
		return Result{}, err
	}
	stays, err := b.queueExists(ctx, b.name)
	if err != nil {
		return Result{}, err
	}
	switch {
	case status == "CREATE_COMPLETE":
		return differs("what cannot be made counts as made")
	case status == "REFUSED":
		return unknown("refused at once: " + why)
	case stays:
		return missing("the stack is " + status + ", and what was made stays")
	}
	return where(status == "ROLLBACK_COMPLETE", Differs, "the stack is "+status)
}

// tryDynamicReference names a queue by a secret.
func tryDynamicReference(ctx context.Context, b *bench) (Result, error) {
	named := b.name + "-resolved"
	secret, err := b.api.json(ctx, "secretsmanager", "CreateSecret", object{
		"Name": b.name, "SecretString": compact(object{"name": named}), "ClientRequestToken": b.prefix + "-the-only-version",
	})
	if err != nil {
		return Result{}, err
	}
	b.laterJSON("secretsmanager", "DeleteSecret", object{"SecretId": text(secret, "ARN"), "ForceDeleteWithoutRecovery": true})
	status, why, err := b.stack(ctx, object{"Queue": object{
		"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": "{{resolve:secretsmanager:" + b.name + ":SecretString:name}}"},
	}})
	if err != nil {
		return Result{}, err
	}
	there, err := b.queueExists(ctx, named)
	if err != nil {
		return Result{}, err
	}
	if !there && status != "CREATE_COMPLETE" {
		return missing("the stack is " + status + ": " + why)
	}
	return where(there, Missing, "the reference stays as it is")
}

// tryGenerateSecret has a secret made of the letters a to f.
func tryGenerateSecret(ctx context.Context, b *bench) (Result, error) {
	excluded := `ghijklmnopqrstuvwxyz!"#$%&'()*+,-./:;<=>?@[\]^_` + "`{|}~"
	status, why, err := b.stack(ctx, object{"Secret": object{"Type": "AWS::SecretsManager::Secret", "Properties": object{
		"Name": b.name,
		"GenerateSecretString": object{
			"SecretStringTemplate": "{}", "GenerateStringKey": "seed", "PasswordLength": 40, "RequireEachIncludedType": false,
			"ExcludeUppercase": true, "ExcludeNumbers": true, "ExcludeCharacters": excluded,
		},
	}}})
	if err != nil {
		return Result{}, err
	}
	if status != "CREATE_COMPLETE" {
		return missing("the stack is " + status + ": " + why)
	}
	b.laterJSON("secretsmanager", "DeleteSecret", object{"SecretId": b.name, "ForceDeleteWithoutRecovery": true})
	out, err := b.api.json(ctx, "secretsmanager", "GetSecretValue", object{"SecretId": b.name})
	if err != nil {
		return Result{}, err
	}
	value := text(out, "SecretString")
	seed, found := strings.CutPrefix(strings.NewReplacer(" ", "", "\n", "").Replace(value), `{"seed":"`)
	seed = strings.TrimSuffix(seed, `"}`)
	switch {
	case !found:
		return differs("it is not in the object that the template has")
	case len(seed) != 40:
		return differs(fmt.Sprintf("it has %d characters, not 40", len(seed)))
	case strings.ContainsAny(seed, excluded):
		return differs("it has characters of ExcludeCharacters")
	}
	return where(strings.Trim(seed, "abcdef") == "", Differs, "ExcludeUppercase and ExcludeNumbers are ignored")
}

// tryDeletionPolicy deletes a stack with two queues, one of which stays.
func tryDeletionPolicy(ctx context.Context, b *bench) (Result, error) {
	kept, gone := b.name+"-kept", b.name+"-gone"
	status, why, err := b.stack(ctx, object{
		"Kept": object{"Type": "AWS::SQS::Queue", "DeletionPolicy": "Retain", "Properties": object{"QueueName": kept}},
		"Gone": object{"Type": "AWS::SQS::Queue", "Properties": object{"QueueName": gone}},
	})
	if err != nil {
		return Result{}, err
	}
	if status != "CREATE_COMPLETE" {
		return unknown("the stack is " + status + ": " + why)
	}
	if made, err := b.api.json(ctx, "sqs", "GetQueueUrl", object{"QueueName": kept}); err == nil {
		b.laterJSON("sqs", "DeleteQueue", object{"QueueUrl": text(made, "QueueUrl")})
	}
	if _, err := b.api.query(ctx, "cloudformation", "DeleteStack", map[string]string{"StackName": b.name}); err != nil {
		return Result{}, err
	}
	if status, _, err = b.stackEnds(ctx); err != nil {
		return Result{}, err
	}
	if status != "GONE" && status != "DELETE_COMPLETE" {
		return differs("the stack is " + status)
	}
	var exist [2]bool
	for i, name := range []string{kept, gone} {
		if exist[i], err = b.queueExists(ctx, name); err != nil {
			return Result{}, err
		}
	}
	switch {
	case !exist[0]:
		return missing("what is to stay is deleted")
	case exist[1]:
		return differs("what is to go stays")
	}
	return asOnAWS()
}
