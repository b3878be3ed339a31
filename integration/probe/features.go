package probe

import "slices"

// The features.
const (
	MoveTasks       ID = "move-tasks"
	Redrive         ID = "redrive"
	RedriveAllow    ID = "redrive-allow"
	FIFO            ID = "fifo"
	MessageLimit    ID = "message-limit"
	DelayLimit      ID = "delay-limit"
	VisibilityLimit ID = "visibility-limit"
	StaleReceipt    ID = "stale-receipt"
	QueuePolicy     ID = "queue-policy"
	QueueKey        ID = "queue-key"

	QueuePartialResponse   ID = "queue-partial-response"
	MappingConcurrency     ID = "mapping-concurrency"
	QueueFilter            ID = "queue-filter"
	BatchingWindow         ID = "batching-window"
	ReservedConcurrency    ID = "reserved-concurrency"
	FunctionTimeout        ID = "function-timeout"
	AsyncOnFailure         ID = "async-on-failure"
	AsyncOnFailureAlias    ID = "async-on-failure-alias"
	UpdateKeepsInvocations ID = "update-keeps-invocations"
	AliasWeights           ID = "alias-weights"
	PayloadLimit           ID = "payload-limit"

	StreamBisect           ID = "stream-bisect"
	StreamPartialResponse  ID = "stream-partial-response"
	StreamOnFailure        ID = "stream-on-failure"
	StreamFilter           ID = "stream-filter"
	StreamPartiQL          ID = "stream-partiql"
	StreamTTL              ID = "stream-ttl"
	KinesisPartialResponse ID = "kinesis-partial-response"
	KinesisOnFailure       ID = "kinesis-on-failure"

	TransactionConflict ID = "transaction-conflict"
	TransactionToken    ID = "transaction-token"
	ConditionItem       ID = "condition-item"
	BatchStatements     ID = "batch-statements"
	ReadCapacity        ID = "read-capacity"
	WriteCapacity       ID = "write-capacity"
	OnDemandLimit       ID = "on-demand-limit"
	ItemLimit           ID = "item-limit"

	CallerSignature ID = "caller-signature"
	ExecutionRole   ID = "execution-role"
	FunctionRole    ID = "function-role"
	RoleTrust       ID = "role-trust"
	SecretStages    ID = "secret-stages"

	UnsignedRefused   ID = "unsigned-refused"
	GatewaySignature  ID = "gateway-signature"
	APIKey            ID = "api-key"
	UsagePlanThrottle ID = "usage-plan-throttle"
	MethodThrottle    ID = "method-throttle"
	RequestValidation ID = "request-validation"
	GatewayResponses  ID = "gateway-responses"
	InvokePermission  ID = "invoke-permission"

	EventPattern     ID = "event-pattern"
	EventTransformer ID = "event-transformer"
	ScheduledRule    ID = "scheduled-rule"
	Scheduler        ID = "scheduler"

	EMF              ID = "emf"
	MetricFilter     ID = "metric-filter"
	LogPattern       ID = "log-pattern"
	QueueMetrics     ID = "queue-metrics"
	MetricMath       ID = "metric-math"
	MetricMathAlarm  ID = "metric-math-alarm"
	AlarmMissingData ID = "alarm-missing-data"

	RealWaits        ID = "real-waits"
	ExecutionTimeout ID = "execution-timeout"
	Heartbeat        ID = "heartbeat"
	RetryMaxDelay    ID = "retry-max-delay"
	ThrottledTask    ID = "throttled-task"
	ExecutionRedrive ID = "execution-redrive"
	SameExecution    ID = "same-execution"
	StatusEvents     ID = "status-events"
	JSONata          ID = "jsonata"
	ParallelAssign   ID = "parallel-assign"
	StateLimit       ID = "state-limit"
	InputLimit       ID = "input-limit"
	DefinitionCheck  ID = "definition-check"

	UnknownType      ID = "unknown-type"
	Rollback         ID = "rollback"
	DynamicReference ID = "dynamic-reference"
	GenerateSecret   ID = "generate-secret"
	DeletionPolicy   ID = "deletion-policy"
)

// features are all, by area.
var features = slices.Concat(
	queueFeatures, lambdaFeatures, streamFeatures, tableFeatures, identityFeatures, gatewayFeatures,
	eventFeatures, metricFeatures, machineFeatures, stackFeatures,
)
