// Worker works on the tasks in the tasks queue and the backlog queue.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/worker"
)

func main() { app.Run(worker.Setup) }
