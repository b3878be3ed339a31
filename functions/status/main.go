// Status answers GET /tasks/{id} and GET /tasks.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/status"
)

func main() { app.Run(status.Setup) }
