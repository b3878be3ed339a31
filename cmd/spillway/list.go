package main

import (
	"cmp"
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/pkg/client"
)

func statusNames() []string {
	names := make([]string, len(client.Statuses))
	for i, s := range client.Statuses {
		names[i] = string(s)
	}
	return names
}

func (a *app) listCommand() *cobra.Command {
	var (
		req    client.ListRequest
		status = newChoice("", statusNames()...)
		limit  int
		all    bool
	)
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "List tasks, newest first",
		Example:           "  spillway list --status dead_lettered\n  spillway list --all -o json | jq -r '.tasks[].id'",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&req.Type, "type", "", "only tasks of this type")
	f.Var(&status, "status", "only tasks in this state")
	f.IntVar(&limit, "limit", 25, "how many tasks to show at most")
	f.StringVar(&req.Cursor, "cursor", "", "go on where a list ended that was cut by --limit")
	f.BoolVar(&all, "all", false, "show all tasks")
	cmd.MarkFlagsMutuallyExclusive("all", "limit")
	complete(cmd, "status", statusNames()...)
	complete(cmd, "type", shippedTypes...)
	complete(cmd, "cursor")

	cmd.RunE = a.action(0, func(ctx context.Context, args []string) error {
		if limit < 1 {
			return usagef("--limit must be at least 1")
		}
		if all {
			limit = 0
		}
		req.Status = client.Status(status.value)
		return a.withClient(func(c *call, _ []string) error {
			found, err := collect(c, req, limit)
			if err != nil && len(found.Tasks) == 0 {
				return err
			}
			// What was found before an error, or before Ctrl-C, is worth showing.
			return cmp.Or(a.showList(found, all), err)
		})(ctx, args)
	})
	return cmd
}

// collect pages until it has limit tasks (0 means all): a page of the API may
// be short or empty and still not be the last. On an error it returns what it
// has, too.
func collect(c *call, req client.ListRequest, limit int) (*client.Page, error) {
	found := &client.Page{Tasks: []*client.Task{}}
	for {
		req.Limit = 100
		if limit > 0 {
			// Never more than is shown, so that the cursor is where the list ends.
			req.Limit = min(100, limit-len(found.Tasks))
		}
		p, err := c.client.List(c.ctx, req)
		if err != nil {
			return found, err
		}
		found.Tasks = append(found.Tasks, p.Tasks...)
		stuck := p.Cursor == req.Cursor
		found.Cursor, req.Cursor = p.Cursor, p.Cursor
		if p.Cursor == "" || stuck || (limit > 0 && len(found.Tasks) >= limit) {
			return found, nil
		}
	}
}

func (a *app) showList(found *client.Page, all bool) error {
	if a.json() {
		return writeJSON(a.out, found)
	}
	notes := &printer{w: a.errw} // not in the way of cut and grep
	if len(found.Tasks) == 0 {
		notes.printf("no tasks\n")
		return notes.err
	}
	rows := make([][]string, len(found.Tasks))
	for i, t := range found.Tasks {
		why := ""
		if t.Error != nil {
			why = t.Error.Code + ": " + t.Error.Message
		}
		rows[i] = []string{t.ID, clean(t.Type), string(t.Status), strconv.Itoa(t.Attempts), since(t.CreatedAt), took(t), clean(why)}
	}
	width, _ := a.screen(a.out)
	p := &printer{w: a.out}
	columns := []column{
		{title: "ID"},
		{title: "TYPE"},
		{title: "STATUS"},
		{title: "ATTEMPTS", right: true},
		{title: "AGE", right: true},
		{title: "TOOK", right: true},
		{title: "ERROR"},
	}
	p.table(width, columns, rows)
	if p.err != nil {
		return p.err
	}
	if found.Cursor != "" && !all {
		notes.printf("there are more: --limit, --all, or --cursor %s\n", found.Cursor)
	}
	return notes.err
}
