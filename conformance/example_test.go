package conformance

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/config"
)

// The example works with an amx serve that has just been started: it names no
// file that nobody has made. With its last lines it works with a token.
func TestTheExampleOfAlertmanagerStartsAsItIs(t *testing.T) {
	text, err := os.ReadFile("../examples/alertmanager/alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(string(text))
	if err != nil {
		t.Fatal(err)
	}
	hook := cfg.Receivers[0].WebhookConfigs[0]
	if hook.HTTPConfig.Authorization != nil || !hook.SendResolved() {
		t.Errorf("want no token, and resolves: %+v", hook)
	}
	uncommented := strings.NewReplacer("        # http_config:", "        http_config:", "        #   authorization:", "          authorization:").Replace(string(text))
	if cfg, err = config.Load(uncommented); err != nil {
		t.Fatal(err)
	}
	auth := cfg.Receivers[0].WebhookConfigs[0].HTTPConfig.Authorization
	if auth == nil || auth.CredentialsFile != "/etc/alertmanager/amx-token" {
		t.Errorf("with its last lines: authorization %+v, want the file of the token", auth)
	}
}
