package ledger

import (
	"reflect"
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	pause := func(who string, hours time.Duration) Pause {
		return Pause{Who: who, Why: "maintenance", Since: noon, Until: noon.Add(hours * time.Hour)}
	}
	p := new(Pauses)
	held := func(command string, at time.Time, who string) {
		t.Helper()
		// Decide on the pauses as they were stored.
		value, _ := p.Encode(noon)
		stored, err := DecodePauses(value)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := stored.Paused(command, at)
		if ok != (who != "") || ok && got.Who != who {
			t.Errorf("at %v %q is paused by %q, %v; want %q", at.Sub(noon), command, got.Who, ok, who)
		}
	}
	held("restart", noon, "")

	p.Set("restart", pause("ann", 24))
	held("restart", noon, "ann")
	held("reboot", noon, "")
	held("restart", noon.Add(24*time.Hour), "")

	p.Set("", pause("bob", 2))
	held("reboot", noon, "bob")
	held("restart", noon, "ann")
	held("reboot", noon.Add(2*time.Hour), "")

	if was, ok := p.Lift("", noon); !ok || was.Who != "bob" {
		t.Errorf("lifted %+v, %v", was, ok)
	}
	held("reboot", noon, "")
	held("restart", noon, "ann")
	if _, ok := p.Lift("", noon); ok {
		t.Error("lifted the pause of everything twice")
	}
	if _, ok := p.Lift("restart", noon.Add(25*time.Hour)); ok {
		t.Error("lifted a pause that had ended")
	}
	held("restart", noon, "")
}

func TestPausesAreForgottenWithTheLastOne(t *testing.T) {
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	p := new(Pauses)
	p.Set("", Pause{Who: "ann", Since: noon, Until: noon.Add(time.Hour)})
	p.Set("restart", Pause{Who: "ann", Since: noon, Until: noon.Add(3 * time.Hour)})
	value, expires := p.Encode(noon.Add(2 * time.Hour))
	if want := noon.Add(3 * time.Hour); !expires.Equal(want) {
		t.Errorf("expires %v, want %v", expires, want)
	}
	stored, err := DecodePauses(value)
	if err != nil || stored.All != nil || len(stored.Commands) != 1 {
		t.Errorf("stored %s, %v", value, err)
	}
	if empty, err := DecodePauses(nil); err != nil || !reflect.DeepEqual(empty, new(Pauses)) {
		t.Errorf("nothing is %+v, %v", empty, err)
	}
	if _, err := DecodePauses([]byte("{")); err == nil || err.Error() != "decoding the pauses: unexpected end of JSON input" {
		t.Errorf("got %v", err)
	}
}
