// Recover cleans up after sagas that ended without an end of their own.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/recover"
)

func main() { app.Run(recover.Setup) }
