package probe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown renders what was found on several targets, as a table for each
// service: the feature, what AWS does by its documentation, and a column for
// each target, whose title is given.
func Markdown(targets []string, title map[string]string, found map[string][]Result) string {
	by := map[string]map[ID]Result{}
	for _, target := range targets {
		by[target] = map[ID]Result{}
		for _, r := range found[target] {
			by[target][r.Feature] = r
		}
	}
	var b strings.Builder
	area := ""
	for _, f := range features {
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(&b, "\n### %s\n\n| Feature | AWS, by its documentation |", area)
			for _, target := range targets {
				fmt.Fprintf(&b, " %s |", title[target])
			}
			b.WriteString("\n|---|---|" + strings.Repeat("---|", len(targets)) + "\n")
		}
		fmt.Fprintf(&b, "| %s (`%s`) | [%s](%s) |", f.Name, f.ID, f.AWS, f.Source)
		for _, target := range targets {
			r := by[target][f.ID]
			cell := string(r.Verdict)
			if r.Verdict != AsOnAWS {
				cell = "**" + cell + "**: " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(r.Detail)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// Nowhere returns the features that none of some targets has as AWS does, in the
// order of the table.
func Nowhere(found map[string][]Result) []Feature {
	somewhere := map[ID]bool{}
	for results := range maps.Values(found) {
		for _, r := range results {
			somewhere[r.Feature] = somewhere[r.Feature] || r.Verdict == AsOnAWS
		}
	}
	return slices.DeleteFunc(Features(), func(f Feature) bool { return somewhere[f.ID] })
}
