// Package tripstep sets up the functions behind the steps of the trip.
package tripstep

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/trip"
	"github.com/spillway-go/spillway/pkg/chaos"
	"github.com/spillway-go/spillway/pkg/saga"
)

// Setup sets up the function behind a step of the trip. Faults go around
// it: what they make has to reach Lambda as it is.
func Setup(env *app.Env, step string, handler func(*saga.Ledger, *trip.Desk) saga.Handler) (any, error) {
	cfg := env.AWS()
	reservations, control, inject := env.String("RESERVATIONS_TABLE"), env.String("CONTROL_TABLE"), env.Bool("CHAOS_ENABLED")
	if err := env.Err(); err != nil {
		return nil, err
	}
	tables := dynamodb.NewFromConfig(cfg)
	var faults *chaos.Injector
	if inject {
		faults = chaos.New(tables, control, &chaos.Options{BusinessCode: trip.CodeSoldOut})
	}
	h := handler(saga.NewLedger(tables, reservations, nil), trip.NewDesk(trip.NewStock(tables, reservations)))
	return faults.Wrap(chaos.Step(step), h), nil
}
