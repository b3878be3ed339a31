// Package status sets up the function that answers GET /tasks/{id} and GET
// /tasks.
package status

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/internal/api"
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tableName := env.String("TASKS_TABLE")
	opts := &tasktable.Options{Retention: env.Duration("TASK_RETENTION", 1)}
	if err := env.Err(); err != nil {
		return nil, err
	}
	return (&api.Status{Table: tasktable.New(dynamodb.NewFromConfig(cfg), tableName, opts)}).Handle, nil
}
