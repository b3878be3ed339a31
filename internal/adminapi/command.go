package adminapi

// Command is the name of a command that takes Q and answers A.
type Command[Q, A any] string

// The commands. One that has several forms of answer stands once for each form.
const (
	DLQStatus  Command[DLQStatusRequest, DLQStatusAnswer] = "dlq.status"
	DLQList    Command[DLQListRequest, DLQListAnswer]     = "dlq.list"
	DLQReplay  Command[DLQReplayRequest, ReplayAnswer]    = "dlq.replay"
	DLQPlan    Command[DLQReplayRequest, Plan]            = "dlq.replay" // with DryRun
	DLQNative  Command[DLQReplayRequest, NativeAnswer]    = "dlq.replay" // with Native
	DLQStop    Command[JobRequest, StopAnswer]            = "dlq.stop"
	DLQPurge   Command[DLQPurgeRequest, PurgeAnswer]      = "dlq.purge"
	DLQRestore Command[JobRequest, RestoreAnswer]         = "dlq.restore"
	DLQJobs    Command[DLQJobsRequest, JobsAnswer]        = "dlq.jobs"
	DLQJob     Command[DLQJobsRequest, JobAnswer]         = "dlq.jobs" // with JobID

	StreamList   Command[StreamListRequest, StreamListAnswer]     = "stream.list"
	StreamReplay Command[StreamReplayRequest, StreamReplayAnswer] = "stream.replay"

	TaskGet    Command[TaskRequest, TaskAnswer]        = "task.get"
	TaskCancel Command[TaskCancelRequest, TaskAnswer]  = "task.cancel"
	TaskRetry  Command[TaskRetryRequest, TaskAnswer]   = "task.retry" // with ID
	TaskReplay Command[TaskRetryRequest, ReplayAnswer] = "task.retry" // with Filter or PlanID
	TaskPlan   Command[TaskRetryRequest, Plan]         = "task.retry" // with DryRun

	SagaList   Command[SagaListRequest, SagaListAnswer] = "saga.list"
	SagaShow   Command[SagaShowRequest, SagaShowAnswer] = "saga.show"
	SagaResume Command[SagaStepRequest, SagaHandled]    = "saga.resume"
	SagaSkip   Command[SagaStepRequest, SagaHandled]    = "saga.skip"
	SagaDone   Command[SagaStepRequest, SagaHandled]    = "saga.done"

	InventoryPut Command[InventoryPutRequest, InventoryAnswer] = "inventory.put"
	InventoryGet Command[InventoryGetRequest, InventoryAnswer] = "inventory.get"

	ChaosSet    Command[ChaosSetRequest, Fault]              = "chaos.set"
	ChaosClear  Command[ChaosClearRequest, ChaosClearAnswer] = "chaos.clear"
	ChaosStatus Command[struct{}, ChaosStatusAnswer]         = "chaos.status"
)

// The commands that the function sends to itself. Operators cannot list them.
const (
	JobResume Command[Continuation, struct{}] = "job.resume" // continue a job in another invocation
	JobFollow Command[Continuation, struct{}] = "job.follow" // follow the tasks of a job that has ended
)

// Names returns the names of the commands that operators send, in order.
func Names() []string {
	return []string{
		string(ChaosClear), string(ChaosSet), string(ChaosStatus),
		string(DLQJobs), string(DLQList), string(DLQPurge), string(DLQReplay), string(DLQRestore), string(DLQStatus), string(DLQStop),
		string(InventoryGet), string(InventoryPut),
		string(SagaDone), string(SagaList), string(SagaResume), string(SagaShow), string(SagaSkip),
		string(StreamList), string(StreamReplay),
		string(TaskCancel), string(TaskGet), string(TaskRetry),
	}
}

// Change is part of the request of each command that changes something.
type Change struct {
	// By says who asks. The audit trail keeps up to 200 characters of it.
	By string `json:"by,omitempty"`
}

// SetBy says who asks.
func (c *Change) SetBy(by string) { c.By = by }

// Continuation is what the function sends to itself about a job.
type Continuation struct {
	JobID string `json:"job_id"`
	Hop   int    `json:"hop"` // invocations that have worked on the job before
}
