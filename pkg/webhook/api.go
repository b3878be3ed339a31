package webhook

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// SecretsManagerAPI is the part of AWS Secrets Manager that [SecretsManager]
// uses. It needs the permission secretsmanager:GetSecretValue on the secret,
// and kms:Decrypt where the secret has a key of its own.
type SecretsManagerAPI interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

var _ SecretsManagerAPI = (*secretsmanager.Client)(nil)
