package amx

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"os"
	"strings"
	"testing"
)

func TestAPackedConfigurationIsTheSameText(t *testing.T) {
	text, err := os.ReadFile("../../examples/amx-ec2.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("{{")) {
		t.Fatal("the example has no template: it proves nothing")
	}
	packed := Pack(text)
	if strings.Contains(packed, "{{") || len(packed) > 4096 || strings.ContainsAny(packed, " \n") {
		t.Errorf("Parameter Store does not take %q", packed)
	}
	if again := Pack(text); again != packed {
		t.Error("packed twice, it is two values")
	}
	// As a console may have wrapped it.
	for _, form := range []string{packed, packed + "\n", " " + packed[:50] + "\r\n" + packed[50:]} {
		if got, err := Unpack([]byte(form)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestAPlainConfigurationIsTakenAsItIs(t *testing.T) {
	for _, text := range []string{"", "commands: []\n", "# H4sI\ncommands: []\n", "H4s: 1"} {
		if got, err := Unpack([]byte(text)); err != nil || string(got) != text {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	packed := Pack([]byte(strings.Repeat("commands: []\n", 20)))
	for name, tt := range map[string]struct{ text, want string }{
		"half a value":     {packed[:len(packed)/2/4*4], "it is cut off"},
		"one bad letter":   {packed[:20] + "!" + packed[21:], "illegal base64 data"},
		"a changed letter": {packed[:24] + "AAAA" + packed[28:], ""},
		"only its start":   {"H4sI", "it is cut off"},
		"a bomb":           {bomb(), "over 1048576 bytes"},
	} {
		got, err := Unpack([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasSuffix(err.Error(), ": pack it again with `amx config --pack`") {
			t.Errorf("%s: got %.40q, %v, want %q", name, got, err, tt.want)
		}
	}
}

func bomb() string {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(make([]byte, 2<<20))
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}
