//go:build !k134 && !k135 && !k137

package functions

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"podinit.dev/oracle/internal/protocol"
)

// The documentation shows what 1.36 answers.
func TestTheDocumentedRepliesAreTheReplies(t *testing.T) {
	text, err := os.ReadFile("../../FUNCTIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		family, rest, _ := strings.Cut(section, "\n")
		for _, example := range regexp.MustCompile("(?s)```json\n(.*?)\n(.*?)\n```").FindAllStringSubmatch(rest, -1) {
			shown[family] = true
			raw, err := ask(t, family, example[1])
			if err != nil {
				t.Errorf("%s %s: %v", family, example[1], err)
			} else if got := `{"answer":` + string(raw) + `}`; got != example[2] {
				t.Errorf("%s %s:\ngot  %s\nwant %s", family, example[1], got, example[2])
			}
		}
	}
	for _, name := range protocol.Names() {
		if !shown[name] {
			t.Errorf("the family %s is not documented", name)
		}
	}
}
