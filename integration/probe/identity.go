package probe

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

var identityFeatures = []Feature{
	{
		CallerSignature, "IAM", "signatures of callers", "refuses one that was made with another secret",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html", tryCallerSignature,
	},
	{
		ExecutionRole, "IAM", "policies of roles", "refuses what no policy of the role allows",
		"https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html", tryExecutionRole,
	},
	{
		FunctionRole, "IAM", "policies of a function's role", "refuses calls of a function that no policy of its role allows",
		lambdaGuide + "lambda-intro-execution-role.html", tryFunctionRole,
	},
	{
		RoleTrust, "IAM", "trust policies of roles", "refuses AssumeRole to who is not named there",
		"https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html", tryRoleTrust,
	},
	{
		SecretStages, "Secrets Manager", "versions of a secret", "the value before the current one is AWSPREVIOUS",
		"https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html", trySecretStages,
	},
}

// account is who calls.
func (b *bench) account(ctx context.Context) (string, error) {
	answer, err := b.api.query(ctx, "sts", "GetCallerIdentity", nil)
	if err != nil {
		return "", err
	}
	var out struct {
		Account string `xml:"GetCallerIdentityResult>Account"`
	}
	return out.Account, decodeXML(answer, &out)
}

func decodeXML(answer []byte, out any) error { return xml.Unmarshal(answer, out) }

// role makes a role that a principal may assume, and returns its ARN.
func (b *bench) role(ctx context.Context, suffix string, principal object, statements ...object) (arn string, err error) {
	policy := func(statements ...object) string {
		return compact(object{"Version": "2012-10-17", "Statement": statements})
	}
	name := b.name + suffix
	answer, err := b.api.query(ctx, "iam", "CreateRole", map[string]string{
		"RoleName": name, "AssumeRolePolicyDocument": policy(object{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}),
	})
	if err != nil {
		return "", err
	}
	b.laterQuery("iam", "DeleteRole", map[string]string{"RoleName": name})
	var out struct {
		ARN string `xml:"CreateRoleResult>Role>Arn"`
	}
	if err := decodeXML(answer, &out); err != nil {
		return "", err
	}
	if len(statements) == 0 {
		return out.ARN, nil
	}
	_, err = b.api.query(ctx, "iam", "PutRolePolicy", map[string]string{"RoleName": name, "PolicyName": "probe", "PolicyDocument": policy(statements...)})
	b.laterQuery("iam", "DeleteRolePolicy", map[string]string{"RoleName": name, "PolicyName": "probe"})
	return out.ARN, err
}

// as is a caller with the rights of a role.
func (b *bench) as(ctx context.Context, role string) (*caller, error) {
	var answer []byte
	_, err := until(ctx, 30*time.Second, func() (bool, error) {
		var err error
		answer, err = b.api.query(ctx, "sts", "AssumeRole", map[string]string{"RoleArn": role, "RoleSessionName": "probe"})
		if strings.Contains(refusal(err), "AccessDenied") { // yet
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, err
	}
	var out struct {
		Key    string `xml:"AssumeRoleResult>Credentials>AccessKeyId"`
		Secret string `xml:"AssumeRoleResult>Credentials>SecretAccessKey"`
		Token  string `xml:"AssumeRoleResult>Credentials>SessionToken"`
	}
	if err := decodeXML(answer, &out); err != nil {
		return nil, err
	}
	cfg := b.api.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(out.Key, out.Secret, out.Token)
	return newCaller(cfg), nil
}

// tryExecutionRole: a role without any policy asks for the queues.
func tryExecutionRole(ctx context.Context, b *bench) (Result, error) {
	account, err := b.account(ctx)
	if err != nil {
		return Result{}, err
	}
	role, err := b.role(ctx, "", object{"AWS": account})
	if err != nil {
		return Result{}, err
	}
	as, err := b.as(ctx, role)
	if err != nil {
		return Result{}, err
	}
	_, err = as.json(ctx, "sqs", "ListQueues", object{"QueueNamePrefix": b.name})
	if strings.Contains(refusal(err), "AccessDenied") {
		return asOnAWS()
	}
	if err != nil {
		return Result{}, err
	}
	return missing("a role without any policy may list queues")
}

// tryFunctionRole: a function that may only log asks for the queues.
func tryFunctionRole(ctx context.Context, b *bench) (Result, error) {
	function, err := b.function(ctx, functionSpec{})
	if err != nil {
		return Result{}, err
	}
	out, err := b.invoke(ctx, function, false, object{"do": "queues"})
	if err != nil {
		return Result{}, err
	}
	var answer struct {
		Status int    `json:"status"`
		Answer string `json:"answer"`
	}
	if err := json.Unmarshal([]byte(out.payload), &answer); err != nil || out.failed || answer.Status == 0 {
		return unknown("the function cannot ask: " + out.payload)
	}
	if answer.Status != http.StatusOK && !strings.Contains(answer.Answer, "AccessDenied") {
		return unknown(fmt.Sprintf("the function is answered %d: %s", answer.Status, answer.Answer))
	}
	return where(answer.Status != http.StatusOK, Missing, "a function that may only log may list queues")
}

// tryCallerSignature: somebody who has the key but not its secret asks for the
// queues.
func tryCallerSignature(ctx context.Context, b *bench) (Result, error) {
	creds, err := b.api.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return Result{}, err
	}
	cfg := b.api.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(creds.AccessKeyID, "not the secret", creds.SessionToken)
	_, err = newCaller(cfg).json(ctx, "sqs", "ListQueues", object{"QueueNamePrefix": b.name})
	return refused(err, "any secret will do")
}

// tryRoleTrust assumes a role that is for another.
func tryRoleTrust(ctx context.Context, b *bench) (Result, error) {
	role, err := b.role(ctx, "", object{"Service": "lambda.amazonaws.com"})
	if err != nil {
		return Result{}, err
	}
	_, err = b.api.query(ctx, "sts", "AssumeRole", map[string]string{"RoleArn": role, "RoleSessionName": "probe"})
	return refused(err, "who is not named there may assume the role")
}

// trySecretStages changes a secret once.
func trySecretStages(ctx context.Context, b *bench) (Result, error) {
	out, err := b.api.json(ctx, "secretsmanager", "CreateSecret", object{"Name": b.name, "SecretString": "old", "ClientRequestToken": b.prefix + "-the-first-version"})
	if err != nil {
		return Result{}, err
	}
	b.laterJSON("secretsmanager", "DeleteSecret", object{"SecretId": text(out, "ARN"), "ForceDeleteWithoutRecovery": true})
	_, err = b.api.json(ctx, "secretsmanager", "PutSecretValue", object{
		"SecretId": b.name, "SecretString": "new", "ClientRequestToken": b.prefix + "-the-second-version",
	})
	if err != nil {
		return Result{}, err
	}
	var values []string
	for _, stage := range []string{"AWSCURRENT", "AWSPREVIOUS"} {
		out, err := b.api.json(ctx, "secretsmanager", "GetSecretValue", object{"SecretId": b.name, "VersionStage": stage})
		if err != nil && refusal(err) == "" {
			return Result{}, err
		}
		values = append(values, text(out, "SecretString"))
	}
	return where(values[0] == "new" && values[1] == "old", Differs, fmt.Sprintf("current %q, previous %q", values[0], values[1]))
}
