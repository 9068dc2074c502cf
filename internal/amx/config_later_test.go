package amx

import (
	"reflect"
	"testing"
	"time"
)

// The keys in notYet are read and checked already; only that they are named
// there keeps them out.
func TestKeysThatAreNotYetSupportedAreReadAsTheContractHasThem(t *testing.T) {
	kept := notYet
	notYet = nil
	defer func() { notYet = kept }()
	c := parse(t, `
tls_key: certs/key.pem
tls_crt: certs/cert.pem
commands:
  - cmd: reboot
    max: -1
    cooldown: 10m
    rate_limit: {runs: 3, per: 1h}
    mode: observe
  - name: often
    cmd: reboot
    rate_limit: [{runs: 3, per: 1h}, {runs: 7, per: 1d}]
`)
	if c.TLSKey != "certs/key.pem" || c.TLSCrt != "certs/cert.pem" {
		t.Errorf("TLS: %+v", c)
	}
	reboot, often := c.Commands[0], c.Commands[1]
	if reboot.Max != -1 || reboot.Cooldown != 10*time.Minute || reboot.Mode != "observe" ||
		!reflect.DeepEqual(reboot.RateLimit, []RateLimit{{3, time.Hour}}) {
		t.Errorf("command: %+v", reboot)
	}
	if !reflect.DeepEqual(often.RateLimit, []RateLimit{{3, time.Hour}, {7, 24 * time.Hour}}) {
		t.Errorf("windows: %v", often.RateLimit)
	}

	_, err := ParseConfig("amx.yaml", []byte(`
commands:
  - cmd: c
    mode: dry
    rate_limit: [{runs: 0, per: 0s}, {runs: 1}]
`))
	want := `amx.yaml:4: commands[0]: mode: "dry": want "run" or "observe"
amx.yaml:5: commands[0]: rate_limit[0]: runs: 0: want 1 or more
amx.yaml:5: commands[0]: rate_limit[0]: per: 0s: want 1s or more
amx.yaml:5: commands[0]: rate_limit[1]: want both "runs" and "per", such as {runs: 3, per: 1h}`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
