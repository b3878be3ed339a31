package tasktable_test

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/spillway-go/spillway/pkg/task"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// wire answers HTTP requests as DynamoDB would, one after the other.
type wire struct {
	t       *testing.T
	answers []answer
	seen    []string // operation and body of each request
}

type answer struct {
	status int
	body   string
	err    error
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.seen = append(w.seen, operation+" "+string(body))
	if len(w.answers) == 0 {
		return nil, fmt.Errorf("unexpected request: %s %s", operation, body)
	}
	a := w.answers[0]
	w.answers = w.answers[1:]
	if a.err != nil {
		return nil, a.err
	}
	header := http.Header{"X-Amz-Crc32": {fmt.Sprint(crc32.ChecksumIEEE([]byte(a.body)))}}
	return &http.Response{StatusCode: a.status, Header: header, Body: io.NopCloser(bytes.NewBufferString(a.body)), Request: r}, nil
}

// overSDK is a table on the real client, so that its retries and its
// encoding take part.
func overSDK(t *testing.T, answers ...answer) (*tasktable.Table, *wire) {
	t.Helper()
	w := &wire{t: t, answers: answers}
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-central-1", HTTPClient: w, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	return tasktable.New(client, "tasks", nil), w
}

const throttling = `{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slow down"}`

// row is a stored row as JSON on the wire.
func row(id, status, owner string, fence, settled int) string {
	return fmt.Sprintf(`{"id":{"S":%q},"tenant_shard":{"S":"t#1"},"type":{"S":"test.task"},"status":{"S":%q},"owner":{"S":%q},`+
		`"run":{"N":"1"},"fence":{"N":"%d"},"settled":{"N":"%d"},"claimable_at":{"N":"9000000000000"},"attempts":{"N":"0"},`+
		`"deadline":{"N":"9000000000000"},"expires_at":{"N":"9000000000"},"input":{"S":"1"}}`, id, status, owner, fence, settled)
}

func TestClaimOverTheSDK(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b, c := tasktable.NewID(), tasktable.NewID(), tasktable.NewID()
		// The first answer is lost on the way, the second try is throttled as a
		// whole; by the third, our own first try shows.
		table, w := overSDK(
			t, answer{err: errors.New("connection reset by peer")},
			answer{status: 400, body: throttling},
			answer{status: 200, body: `{"Responses":[` +
				`{"TableName":"tasks","Error":{"Code":"ConditionalCheckFailed","Message":"no","Item":` + row(a, "running", "me", 1, 0) + `}},` +
				`{"TableName":"tasks","Item":` + row(b, "running", "me", 1, 0) + `},` +
				`{"Error":{"Code":"ThrottlingError","Message":"slow down"}}]}`},
			answer{status: 200, body: `{"Attributes":` + row(c, "running", "me", 3, 1) + `}`},
		)
		claims := table.Claim(t.Context(), "me", time.Now().Add(time.Minute), []string{a, b, c})
		for i, id := range []string{a, b, c} {
			if claims[i].Outcome != tasktable.Claimed || claims[i].Row.ID != id {
				t.Errorf("claim %d = %+v", i, claims[i])
			}
		}
		if !claims[2].Row.Vanished() || claims[1].Row.Vanished() || claims[1].Row.Tenant != "t" {
			t.Errorf("rows %+v, %+v", claims[1].Row, claims[2].Row)
		}
		if len(w.seen) != 4 || w.seen[0] != w.seen[2] || !strings.HasPrefix(w.seen[3], "UpdateItem ") {
			t.Fatalf("requests:\n%s", strings.Join(w.seen, "\n"))
		}
		for _, part := range []string{
			`"Statement":"UPDATE \"tasks\" SET \"owner\"=? SET \"fence\"=\"fence\"+1 SET \"status\"='running' SET \"claimable_at\"=? SET \"started_at\"=? ` +
				`WHERE \"id\"=? AND \"claimable_at\"<? RETURNING ALL NEW *"`,
			`"ReturnValuesOnConditionCheckFailure":"ALL_OLD"`,
		} {
			if strings.Count(w.seen[0], part) != 3 {
				t.Errorf("the request says %s\nwant three times %s", w.seen[0], part)
			}
		}
	})
}

func TestCreateOverTheSDK(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := draft(tasktable.NewID())
		// The first try took effect, its answer was lost: the second one finds
		// the row.
		table, _ := overSDK(t, answer{err: errors.New("broken pipe")}, answer{
			status: 400,
			body: `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":` +
				row(d.ID, "queued", "", 0, 0) + `}`,
		})
		r, err := table.Create(t.Context(), d)
		if !errors.Is(err, tasktable.ErrExists) || r == nil || r.ID != d.ID || r.Status != task.Queued {
			t.Errorf("Create = %+v, %v; want ErrExists and the row", r, err)
		}
	})
}

func TestTheSDKGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := answer{status: 400, body: throttling}
		table, w := overSDK(t, slow, slow, slow, slow, slow, slow)
		claims := table.Claim(t.Context(), "me", time.Now().Add(time.Minute), []string{tasktable.NewID(), tasktable.NewID()})
		for _, c := range claims {
			if c.Outcome != tasktable.Unknown || c.Err == nil || !strings.Contains(c.Err.Error(), "ThrottlingException") {
				t.Errorf("Claim = %+v", c)
			}
		}
		if len(w.seen) > 5 {
			t.Errorf("%d requests: our own tries multiply the SDK's", len(w.seen))
		}
	})
}

func TestMalformedAnswer(t *testing.T) {
	t.Parallel()
	table, _ := overSDK(t, answer{status: 200, body: `{"Responses":[]}`})
	for _, c := range table.Claim(t.Context(), "me", time.Now().Add(time.Minute), []string{tasktable.NewID(), tasktable.NewID()}) {
		if c.Outcome != tasktable.Unknown || c.Err == nil {
			t.Errorf("Claim = %+v, want Unknown", c)
		}
	}
}
