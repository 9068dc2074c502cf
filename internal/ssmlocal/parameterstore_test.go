package ssmlocal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func (w *world) put(name, value string, change ...func(*ssm.PutParameterInput)) (*ssm.PutParameterOutput, error) {
	in := &ssm.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
	for _, c := range change {
		c(in)
	}
	return w.client.PutParameter(context.Background(), in)
}

func (w *world) mustPut(name, value string, change ...func(*ssm.PutParameterInput)) {
	w.t.Helper()
	if _, err := w.put(name, value, change...); err != nil {
		w.t.Fatal(err)
	}
}

func overwrite(in *ssm.PutParameterInput) { in.Overwrite = aws.Bool(true) }
func secret(in *ssm.PutParameterInput)    { in.Type = types.ParameterTypeSecureString }
func listed(in *ssm.PutParameterInput)    { in.Type = types.ParameterTypeStringList }
func untyped(in *ssm.PutParameterInput)   { in.Type = "" }
func tier(t types.ParameterTier) func(*ssm.PutParameterInput) {
	return func(in *ssm.PutParameterInput) { in.Tier = t }
}

func (w *world) parameter(name string, decrypt bool) *types.Parameter {
	w.t.Helper()
	out, err := w.client.GetParameter(context.Background(), &ssm.GetParameterInput{Name: &name, WithDecryption: &decrypt})
	if err != nil {
		w.t.Fatal(err)
	}
	return out.Parameter
}

func TestAParameterIsKept(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	w := start(t, func(o *Options) { o.Dir, o.Now = dir, func() time.Time { return now } })
	w.mustPut("/app/url", "http://one")
	w.mustPut("/app/url", "http://two", overwrite)
	w.mustPut("token", "s3cret", secret)
	w.close()

	w = start(t, func(o *Options) { o.Dir = dir })
	p := w.parameter("/app/url", false)
	if *p.Value != "http://two" || p.Version != 2 || p.Type != "String" || *p.DataType != "text" || !p.LastModifiedDate.Equal(now) ||
		*p.ARN != "arn:aws:ssm:eu-test-1:000000000000:parameter/app/url" || p.Selector != nil {
		t.Errorf("the parameter is %+v", p)
	}
	for name, want := range map[string]string{
		"/app/url:1": "http://one", "/app/url:2": "http://two",
		"arn:aws:ssm:eu-test-1:000000000000:parameter/app/url": "http://two",
		"arn:aws:ssm:eu-test-1:000000000000:parameter/token":   "s3cret",
	} {
		if got := w.parameter(name, true); *got.Value != want {
			t.Errorf("%s is %q, want %q", name, *got.Value, want)
		}
	}
	if got := w.parameter("token", false); *got.Value == "s3cret" || *got.Value == "" || got.Type != "SecureString" {
		t.Errorf("without decryption the secret is %+v", got)
	}
	info, err := os.Stat(filepath.Join(dir, parametersName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, error %v; want mode 0600", info.Mode(), err)
	}
}

func TestTheOldestVersionsGo(t *testing.T) {
	w := start(t)
	for range maxVersions + 1 {
		w.mustPut("n", "x", overwrite)
	}
	if p := w.parameter("n:2", false); p.Version != 2 || *p.Selector != ":2" {
		t.Errorf("version 2 is %+v", p)
	}
	_, err := w.client.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String("n:1")})
	wantError(t, err, "ParameterVersionNotFound", "Systems Manager could not find version 1 of n. Verify the version and try again.")
}

func TestTheTierOfAParameter(t *testing.T) {
	w := start(t)
	for _, tt := range []struct {
		name, parameter string
		size            int
		tier            types.ParameterTier
		want            types.ParameterTier
		refusal         string
	}{
		{"4 KB", "a", 4096, "", "Standard", ""},
		{"4 KB and a byte", "b", 4097, "", "", "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."},
		{"8 KB", "c", 8192, "Advanced", "Advanced", ""},
		{"8 KB and a byte", "d", 8193, "Advanced", "", "Advanced tier parameters support a maximum parameter value of 8192 characters."},
		{"an advanced one stays advanced", "c", 10, "", "Advanced", ""},
		{"and is not made a lesser one", "c", 10, "Standard", "", "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier."},
		{"what is needed, for little", "e", 4096, "Intelligent-Tiering", "Standard", ""},
		{"what is needed, for more", "e", 4097, "Intelligent-Tiering", "Advanced", ""},
		{"what is needed, but no less than before", "e", 1, "Intelligent-Tiering", "Advanced", ""},
	} {
		out, err := w.put(tt.parameter, strings.Repeat("x", tt.size), overwrite, tier(tt.tier))
		switch {
		case tt.refusal != "":
			wantError(t, err, "ValidationException", tt.refusal)
		case err != nil || out.Tier != tt.want:
			t.Errorf("%s: got %+v, error %v, want %s", tt.name, out, err, tt.want)
		}
	}
}

func TestPutParameterRefuses(t *testing.T) {
	w := start(t)
	w.mustPut("taken", "x")
	const invalid = "1 validation error detected: Value "
	for _, tt := range []struct {
		name, parameter, value string
		change                 func(*ssm.PutParameterInput)
		code, message          string
	}{
		{
			"a name that is taken", "taken", "y", nil, "ParameterAlreadyExists",
			"The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
		},
		{
			"another type", "taken", "y", func(in *ssm.PutParameterInput) { overwrite(in); secret(in) }, "HierarchyTypeMismatchException",
			"The parameter is a String and can't become a SecureString: create another one.",
		},
		{"no type for a new one", "new", "y", untyped, "ValidationException", "A parameter type is required when you create a parameter."},
		{
			"an unknown type", "new", "y", func(in *ssm.PutParameterInput) { in.Type = "Text" }, "ValidationException",
			invalid + "'Text' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]",
		},
		{
			"an empty value", "new", "", nil, "ValidationException",
			invalid + "'' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1",
		},
		{
			"a value with another parameter in it", "new", "a: {{ ssm:other }}", nil, "ValidationException",
			`Parameter value can't nest another parameter. Do not use "{{}}" in the value.`,
		},
		{
			"a value with a template in it", "new", "args: ['{{ .Labels.a\n}}']", nil, "ValidationException",
			`Parameter value can't nest another parameter. Do not use "{{}}" in the value.`,
		},
		{"a name of AWS's own", "/aws/x", "y", nil, "ValidationException", `Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`},
		{
			"a name with a space", "a b", "y", nil, "ValidationException",
			"Parameter name: can consist of sub-paths divided by a slash; each sub-path is a mix of letters, numbers and the following 3 symbols: .-_",
		},
		{"a path that does not begin at the top", "a/b", "y", nil, "ValidationException", "Parameter name must be a fully qualified name."},
		{"16 levels", strings.Repeat("/a", 16), "y", nil, "HierarchyLevelLimitExceededException", "A parameter name can have at most 15 levels."},
		{
			"a key for what is not secret", "new", "y", func(in *ssm.PutParameterInput) { in.KeyId = aws.String("alias/x") },
			"ValidationException", "KeyId is required for SecureString type parameter only.",
		},
		{"tags on what is there", "taken", "y", func(in *ssm.PutParameterInput) {
			overwrite(in)
			in.Tags = []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}
		}, "ValidationException", "Invalid request: tags and overwrite can't be used together."},
		{
			"a pattern that is none", "new", "y", func(in *ssm.PutParameterInput) { in.AllowedPattern = aws.String("(") },
			"InvalidAllowedPatternException", "The allowed pattern \"(\" is not a regular expression: error parsing regexp: missing closing ): `(`",
		},
		{
			"a value that the pattern does not allow", "new", "y", func(in *ssm.PutParameterInput) { in.AllowedPattern = aws.String(`^\d+$`) },
			"ParameterPatternMismatchException", `Parameter value, cannot be validated against allowedPattern: ^\d+$`,
		},
		{
			"an unknown data type", "new", "y", func(in *ssm.PutParameterInput) { in.DataType = aws.String("Text") },
			"ValidationException", "The following data type is not supported: Text (Data type names are all lowercase.)",
		},
		{
			"policies", "new", "y", func(in *ssm.PutParameterInput) { in.Policies = aws.String("[]") },
			"InvalidPolicyTypeException", "amx serve has no parameter policies: leave them out.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*ssm.PutParameterInput) {}
			}
			_, err := w.put(tt.parameter, tt.value, change)
			wantError(t, err, tt.code, tt.message)
		})
	}
	_, err := w.client.GetParameter(context.Background(), &ssm.GetParameterInput{Name: aws.String("new")})
	wantError(t, err, "ParameterNotFound", "")
	if p := w.parameter("taken", false); *p.Value != "x" || p.Version != 1 {
		t.Errorf("after refusals the parameter is %+v", p)
	}
}

func TestAnOverwriteKeepsWhatItDoesNotName(t *testing.T) {
	w := start(t)
	w.mustPut("token", "one", secret)
	w.mustPut("token", "two", untyped, overwrite)
	if p := w.parameter("token", true); p.Type != "SecureString" || *p.Value != "two" {
		t.Errorf("the parameter is %+v", p)
	}
}

func TestAFileOfParametersThatCannotBeReadIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, parametersName)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := New(Options{Dir: dir})
	want := `reading parameters from "` + file + `": unexpected end of JSON input; repair the file or remove it`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
