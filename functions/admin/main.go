// Admin answers operators' commands: dead letters, replays, the audit trail,
// injected faults.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/admin"
)

func main() { app.Run(admin.Setup) }
