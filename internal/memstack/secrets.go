package memstack

import (
	"context"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// secrets is Secrets Manager: the stack's secrets, by ARN.
type secrets struct {
	mu     sync.Mutex
	values map[string]string
}

// GetSecretValue reads a secret.
func (s *secrets) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput, _ ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.values[aws.ToString(in.SecretId)]
	if !ok {
		return nil, &types.ResourceNotFoundException{Message: aws.String("Secrets Manager can't find the specified secret.")}
	}
	return &secretsmanager.GetSecretValueOutput{ARN: in.SecretId, SecretString: &value}, nil
}

// generated stands for what Secrets Manager generates: 32 letters and digits.
const generated = "c3BpbGx3YXkgaW4gbWVtb3J5IHRlc3Rz"

// dynamic is a dynamic reference of CloudFormation to a secret.
var dynamic = regexp.MustCompile(`\{\{resolve:secretsmanager:[^}]*\}\}`)

// put stores a secret as CloudFormation does. An empty text is a generated one.
func (s *secrets) put(arn, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[arn] = dynamic.ReplaceAllString(text, generated)
}

// SetWebhookSecret replaces the webhook secret, as an operator does to rotate
// it. Workers see it when the cached one is older than WebhookSecretTTL.
func (s *Stack) SetWebhookSecret(text string) {
	s.secrets.put(s.function("WorkerFunction").variables["WEBHOOK_SECRET_ARN"], text)
}

// WebhookSecret is the webhook secret as it is stored.
func (s *Stack) WebhookSecret() string {
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	return s.secrets.values[s.function("WorkerFunction").variables["WEBHOOK_SECRET_ARN"]]
}
