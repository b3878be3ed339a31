package memstack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/asl"
	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/internal/functions/admin"
	"github.com/spillway-go/spillway/internal/functions/cancel"
	"github.com/spillway-go/spillway/internal/functions/notify"
	recovery "github.com/spillway-go/spillway/internal/functions/recover"
	"github.com/spillway-go/spillway/internal/functions/rescue"
	"github.com/spillway-go/spillway/internal/functions/status"
	"github.com/spillway-go/spillway/internal/functions/submit"
	"github.com/spillway-go/spillway/internal/functions/tripstep"
	"github.com/spillway-go/spillway/internal/functions/worker"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

const typeFunction = "AWS::Serverless::Function"

// setups are the functions by their logical ids.
var setups = map[string]func(*app.Env) (any, error){
	"SubmitFunction": submit.Setup, "StatusFunction": status.Setup, "CancelFunction": cancel.Setup, "WorkerFunction": worker.Setup,
	"NotifyFunction": notify.Setup, "RescueFunction": rescue.Setup, "RecoverFunction": recovery.Setup, "AdminFunction": admin.Setup,
	"BookHotelFunction": tripstep.BookHotel, "BookFlightFunction": tripstep.BookFlight, "BookCarFunction": tripstep.BookCar,
	"CancelHotelFunction": tripstep.CancelHotel, "CancelFlightFunction": tripstep.CancelFlight, "CancelCarFunction": tripstep.CancelCar,
}

// deploy makes everything that template.yaml says.
func (s *Stack) deploy() error {
	bucket := &objects{ObjectAPI: s.Bucket}
	s.services = map[string]any{
		"dynamodb": s.DB, "dynamodbstreams": s.DB, "sqs": s.SQS, "s3": bucket, "lambda": lambdaAPI{s}, "secretsmanager": s.secrets,
	}
	for _, step := range []func() error{s.deployTables, s.deployQueues, func() error { return s.deployBucket(bucket) }, s.deploySecrets, s.deployFunctions, s.deployMachine, s.deployAPI} {
		if err := step(); err != nil {
			return err
		}
	}
	s.services["states"] = s.Machine
	return nil
}

// key is an element of a key schema.
type key struct{ AttributeName, KeyType string }

func (s *Stack) deployTables() error {
	for _, r := range s.resources("AWS::DynamoDB::Table") {
		var p struct {
			AttributeDefinitions   []struct{ AttributeName, AttributeType string }
			KeySchema              []key
			GlobalSecondaryIndexes []struct {
				IndexName  string
				KeySchema  []key
				Projection struct {
					ProjectionType   string
					NonKeyAttributes []string
				}
			}
			StreamSpecification     struct{ StreamViewType string }
			TimeToLiveSpecification struct{ AttributeName string }
		}
		if err := r.Decode(&p); err != nil {
			return err
		}
		kinds := map[string]types.ScalarAttributeType{}
		for _, a := range p.AttributeDefinitions {
			kinds[a.AttributeName] = types.ScalarAttributeType(a.AttributeType)
		}
		keys := func(schema []key) (hash, sort ddbfake.Key) {
			for _, k := range schema {
				to := &hash
				if k.KeyType == "RANGE" {
					to = &sort
				}
				*to = ddbfake.Key{Name: k.AttributeName, Type: kinds[k.AttributeName]}
			}
			return hash, sort
		}
		name, err := r.Ref()
		if err != nil {
			return err
		}
		spec := ddbfake.Spec{Name: name, Stream: types.StreamViewType(p.StreamSpecification.StreamViewType), TTL: p.TimeToLiveSpecification.AttributeName}
		spec.Hash, spec.Range = keys(p.KeySchema)
		for _, index := range p.GlobalSecondaryIndexes {
			x := ddbfake.Index{Name: index.IndexName, Projection: types.ProjectionType(index.Projection.ProjectionType), Include: index.Projection.NonKeyAttributes}
			x.Hash, x.Range = keys(index.KeySchema)
			spec.Indexes = append(spec.Indexes, x)
		}
		s.DB.CreateTable(spec)
	}
	return nil
}

// deployQueues makes the queues, those first that are the dead-letter queue of
// another.
func (s *Stack) deployQueues() error {
	last := []func() error{}
	for _, r := range s.resources("AWS::SQS::Queue") {
		var p struct {
			QueueName                                 string
			VisibilityTimeout, MessageRetentionPeriod int
			RedrivePolicy                             struct {
				DeadLetterTargetArn string
				MaxReceiveCount     int
			}
			RedriveAllowPolicy struct {
				RedrivePermission string
				SourceQueueArns   []string
			}
		}
		if err := r.Decode(&p); err != nil {
			return err
		}
		o := workqueuetest.QueueOptions{
			Visibility: time.Duration(p.VisibilityTimeout) * time.Second, Retention: time.Duration(p.MessageRetentionPeriod) * time.Second,
			MaxReceives: p.RedrivePolicy.MaxReceiveCount, DeadLetter: afterColon(p.RedrivePolicy.DeadLetterTargetArn),
			Redrive: workqueuetest.RedrivePermission(p.RedriveAllowPolicy.RedrivePermission),
		}
		for _, arn := range p.RedriveAllowPolicy.SourceQueueArns {
			o.Sources = append(o.Sources, afterColon(arn))
		}
		open := func() error {
			_, err := s.SQS.Open(p.QueueName, o)
			return err
		}
		if o.DeadLetter != "" {
			last = append(last, open)
		} else if err := open(); err != nil {
			return err
		}
	}
	for _, open := range last {
		if err := open(); err != nil {
			return err
		}
	}
	return nil
}

// afterColon is the name at the end of an ARN.
func afterColon(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }

func (s *Stack) deployBucket(o *objects) error {
	all := s.resources("AWS::S3::Bucket")
	if len(all) != 1 {
		return fmt.Errorf("memstack: %d buckets, want 1", len(all))
	}
	var err error
	o.bucket, err = all[0].Ref()
	return err
}

func (s *Stack) deploySecrets() error {
	for _, r := range s.resources("AWS::SecretsManager::Secret") {
		var p struct{ SecretString string }
		if err := r.Decode(&p); err != nil {
			return err
		}
		arn, err := r.Ref()
		if err != nil {
			return err
		}
		s.secrets.put(arn, p.SecretString)
	}
	return nil
}

// functionProperties are what template.yaml says of a function.
type functionProperties struct {
	Timeout                      int
	ReservedConcurrentExecutions json.Number
	Environment                  struct{ Variables map[string]string }
	Events                       map[string]struct {
		Type       string
		Properties json.RawMessage
	}
}

func (s *Stack) deployFunctions() error {
	for _, r := range s.resources(typeFunction) {
		var p functionProperties
		if err := r.Decode(&p); err != nil {
			return err
		}
		name, err := r.Ref()
		if err != nil {
			return err
		}
		if err := checkVariables(p.Environment.Variables); err != nil {
			return fmt.Errorf("memstack: %s: %w", r.ID, err)
		}
		setup := setups[r.ID]
		if other := s.opts.Setups[r.ID]; other != nil {
			setup = other
		}
		f := &function{
			stack: s, id: r.ID, name: name, setup: setup, variables: p.Environment.Variables,
			timeout: time.Duration(p.Timeout) * time.Second, async: asyncDefaults,
		}
		if f.setup == nil {
			return fmt.Errorf("memstack: %s is not among the setups", r.ID)
		}
		if p.ReservedConcurrentExecutions != "" {
			n, err := p.ReservedConcurrentExecutions.Int64()
			if err != nil {
				return err
			}
			f.reserved = int(n)
		}
		s.functions = append(s.functions, f)
		if err := s.deployEvents(f, p); err != nil {
			return fmt.Errorf("memstack: %s: %w", r.ID, err)
		}
	}
	return s.deployAsync()
}

// deployEvents makes what invokes a function: mappings, routes, rules.
func (s *Stack) deployEvents(f *function, p functionProperties) error {
	for name, e := range p.Events {
		switch e.Type {
		case "SQS", "DynamoDB":
			m := &mapping{stack: s, id: f.id + "." + name, uuid: s.uuid(), function: f, state: "Enabled", changed: make(chan struct{})}
			if err := json.Unmarshal(e.Properties, &m.source); err != nil {
				return err
			}
			if err := m.prepare(); err != nil {
				return err
			}
			s.mappings = append(s.mappings, m)
		case "Api":
			var to struct{ Method, Path string }
			if err := json.Unmarshal(e.Properties, &to); err != nil {
				return err
			}
			s.routes = append(s.routes, route{to.Method, to.Path, f})
		case "EventBridgeRule":
			var r struct{ Pattern filter }
			if err := json.Unmarshal(e.Properties, &r); err != nil {
				return err
			}
			if err := r.Pattern.check(); err != nil {
				return err
			}
			s.rules = append(s.rules, rule{f, r.Pattern})
		default:
			return fmt.Errorf("event %s: a %s is not known", name, e.Type)
		}
	}
	return nil
}

// deployAsync reads what happens to asynchronous events.
func (s *Stack) deployAsync() error {
	for _, r := range s.resources("AWS::Lambda::EventInvokeConfig") {
		var p struct {
			FunctionName             string
			MaximumRetryAttempts     *int
			MaximumEventAgeInSeconds *int
			DestinationConfig        struct{ OnFailure struct{ Destination string } }
		}
		if err := r.Decode(&p); err != nil {
			return err
		}
		f := s.byName(p.FunctionName)
		if f == nil {
			return fmt.Errorf("memstack: %s: no function %s", r.ID, p.FunctionName)
		}
		if p.MaximumRetryAttempts != nil {
			f.async.retries = *p.MaximumRetryAttempts
		}
		if p.MaximumEventAgeInSeconds != nil {
			f.async.maxAge = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
		if arn := p.DestinationConfig.OnFailure.Destination; arn != "" {
			f.async.destination = queueURL(arn)
		}
	}
	return nil
}

var substitution = regexp.MustCompile(`\$\{(\w+)\}`)

func (s *Stack) deployMachine() error {
	all := s.resources("AWS::StepFunctions::StateMachine")
	if len(all) != 1 {
		return fmt.Errorf("memstack: %d state machines, want 1", len(all))
	}
	var p struct {
		DefinitionS3Location    string
		DefinitionSubstitutions map[string]string
	}
	if err := all[0].Decode(&p); err != nil {
		return err
	}
	arn, err := all[0].Ref()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(root(s.t), p.DefinitionS3Location))
	if err != nil {
		return err
	}
	definition := substitution.ReplaceAllStringFunc(string(text), func(found string) string {
		value, ok := p.DefinitionSubstitutions[substitution.FindStringSubmatch(found)[1]]
		if !ok {
			err = fmt.Errorf("memstack: %s has no value for %s", all[0].ID, found)
		}
		return value
	})
	if err != nil {
		return err
	}
	s.Machine = &Machine{arn: arn, name: afterColon(arn), definition: definition, ended: s.publish, started: func(ctx context.Context, e *Execution) {
		if !s.opts.HoldSagas {
			s.spawn(func() { s.run(ctx, e) })
		}
	}}
	s.definition, err = asl.Parse([]byte(definition))
	return err
}

func (s *Stack) deployAPI() error {
	all := s.resources("AWS::Serverless::Api")
	if len(all) != 1 {
		return fmt.Errorf("memstack: %d APIs, want 1", len(all))
	}
	var p struct{ GatewayResponses map[string]gatewayResponse }
	if err := all[0].Decode(&p); err != nil {
		return err
	}
	s.gatewayResponses = p.GatewayResponses
	return nil
}
