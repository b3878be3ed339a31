package redrive_test

import (
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/tasktable"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

type attribute = types.MessageAttributeValue

func tasktableOwner() string { return tasktable.NewOwner() }

// synctestRun is bubble for a subtest of a test that is not one itself.
func synctestRun(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newRig(t)) })
}

// outgoing is a message as it lies in a queue, to be sent elsewhere as it is.
func outgoing(m workqueuetest.Message) workqueue.Outgoing {
	return workqueue.Outgoing{Body: m.Body, Attributes: m.Attributes, Group: m.Group}
}
