// Submit answers POST /tasks: it accepts a task and puts it on a queue.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/submit"
)

func main() { app.Run(submit.Setup) }
