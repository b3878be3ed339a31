// Cancel answers DELETE /tasks/{id}.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/cancel"
)

func main() { app.Run(cancel.Setup) }
