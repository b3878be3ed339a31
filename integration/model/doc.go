// Package model runs the task protocol's model (tasktabletest.History) against
// an emulated AWS: four worker processes, each polling the queues as Lambda
// does, are killed by SIGKILL at random moments while tasks are submitted,
// canceled and replayed. Everything that the processes did and everything that
// the table said is told to the model afterwards, which names each broken
// promise with the history of its task.
//
// It runs, behind the build tag integration, on a local AWS that it starts
// itself or on SPILLWAY_TEST_ENDPOINT. SPILLWAY_TEST_SEED repeats what is
// drawn, SPILLWAY_MODEL_TASKS and SPILLWAY_MODEL_KILLS make it larger.
package model
