// Notify tells callers that their tasks have ended: it turns the ends in the
// tasks table's stream into webhook.deliver tasks.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/notify"
)

func main() { app.Run(notify.Setup) }
