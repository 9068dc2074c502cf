package ssmlocal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sigAlgorithm = "AWS4-HMAC-SHA256"
	sigTime      = "20060102T150405Z"
	maxSkew      = 5 * time.Minute
)

// Credential is what programs sign their requests with.
type Credential struct{ AccessKeyID, SecretAccessKey string }

// NewCredential makes a credential out of random bytes. It looks like one of AWS,
// but has no character that is special to a shell.
func NewCredential(random io.Reader) (Credential, error) {
	var b [35]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return Credential{}, fmt.Errorf("making a credential: %w", err)
	}
	text := base32.StdEncoding.EncodeToString(b[:])
	return Credential{"AMXL" + text[:16], text[16:]}, nil
}

// Signed returns a handler for requests that are signed with c, for any region. It refuses
// all others in the service's words.
func (s *Server) Signed(c Credential) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, err := s.newCommandID(); err == nil {
			w.Header().Set("X-Amzn-Requestid", id)
		}
		if r.URL.Path != "/" || r.URL.RawQuery != "" {
			s.answer(w, http.StatusNotFound, &apiError{"UnknownOperationException", "the protocol has neither paths nor queries: the endpoint is the address alone"})
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.answer(w, http.StatusBadRequest, &apiError{"SerializationException", err.Error()})
			return
		}
		if refusal := c.verify(r, body, s.o.Now()); refusal != nil {
			s.answer(w, http.StatusBadRequest, refusal)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.ServeHTTP(w, r)
	})
}

// signature is a parsed Authorization header.
type signature struct {
	keyID, date, region, service, end string // the five parts of Credential
	headers                           []string
	value                             string
}

func parseSignature(header string) (signature, *apiError) {
	incomplete := func(what string) *apiError {
		return &apiError{"IncompleteSignatureException", "Authorization header requires " + what + "."}
	}
	fields, ok := strings.CutPrefix(header, sigAlgorithm+" ")
	if !ok {
		return signature{}, incomplete("the algorithm " + sigAlgorithm)
	}
	values := map[string]string{}
	for f := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(f), "=")
		values[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if values[name] == "" {
			return signature{}, incomplete("'" + name + "' parameter")
		}
	}
	scope := strings.Split(values["Credential"], "/")
	if len(scope) != 5 {
		return signature{}, &apiError{"IncompleteSignatureException", "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + values["Credential"] + "'."}
	}
	return signature{
		keyID: scope[0], date: scope[1], region: scope[2], service: scope[3], end: scope[4],
		headers: strings.Split(values["SignedHeaders"], ";"), value: values["Signature"],
	}, nil
}

// verify returns why the request is refused, or nil. It follows
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (c Credential) verify(r *http.Request, body []byte, now time.Time) *apiError {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &apiError{"MissingAuthenticationTokenException", "Missing Authentication Token"}
	}
	sig, refusal := parseSignature(header)
	if refusal != nil {
		return refusal
	}
	if sig.keyID != c.AccessKeyID {
		return &apiError{"UnrecognizedClientException", "The security token included in the request is invalid."}
	}
	invalid := func(format string, args ...any) *apiError {
		return &apiError{"InvalidSignatureException", fmt.Sprintf(format, args...)}
	}
	stamp := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(sigTime, stamp)
	show := func(t time.Time) string { return t.UTC().Format(sigTime) }
	switch {
	case stamp == "":
		return &apiError{"IncompleteSignatureException", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."}
	case err != nil:
		return &apiError{"IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '" + stamp + "'."}
	case sig.date != stamp[:8]:
		return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", sig.date, stamp[:8], stamp)
	case sig.service != "ssm":
		return invalid("Credential should be scoped to correct service: 'ssm'.")
	case sig.end != "aws4_request":
		return invalid("Credential should be scoped with a valid terminator: 'aws4_request', not '%s'.", sig.end)
	case at.Before(now.Add(-maxSkew)):
		return invalid("Signature expired: %s is now earlier than %s (%s - 5 min.)", stamp, show(now.Add(-maxSkew)), show(now))
	case at.After(now.Add(maxSkew)):
		return invalid("Signature not yet current: %s is still later than %s (%s + 5 min.)", stamp, show(now.Add(maxSkew)), show(now))
	case !slices.Contains(sig.headers, "host"):
		return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		// An unsigned header could change the operation of a signed request.
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !slices.Contains(sig.headers, name) {
			return invalid("'%s' must be a 'SignedHeader' in the AWS Authorization.", name)
		}
	}
	if want := c.sign(sig, stamp, canonical(r, sig.headers, body)); !hmac.Equal([]byte(want), []byte(sig.value)) {
		return invalid("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

// sign is the signature of a canonical request.
func (c Credential) sign(sig signature, stamp, canonicalRequest string) string {
	key := []byte("AWS4" + c.SecretAccessKey)
	for _, part := range []string{sig.date, sig.region, sig.service, sig.end} {
		key = mac(key, part)
	}
	scope := strings.Join([]string{sig.date, sig.region, sig.service, sig.end}, "/")
	hash := sha256.Sum256([]byte(canonicalRequest))
	text := strings.Join([]string{sigAlgorithm, stamp, scope, hex.EncodeToString(hash[:])}, "\n")
	return hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonical is the request as both sides sign it. Its path is / and its query is empty:
// other requests were refused before.
func canonical(r *http.Request, headers []string, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n/\n\n")
	for _, name := range headers {
		values := r.Header.Values(name)
		switch name {
		case "host": // net/http takes it out of the headers
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.Itoa(len(body))}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(trimmed, ",") + "\n")
	}
	hash := sha256.Sum256(body)
	b.WriteString("\n" + strings.Join(headers, ";") + "\n" + hex.EncodeToString(hash[:]))
	return b.String()
}
