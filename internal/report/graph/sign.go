package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// SigV4 signs queries for Amazon Managed Service for Prometheus. It takes the region
// from the workspace's URL. If the URL names none, it uses region.
// https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-secure-querying.html
func SigV4(credentials aws.CredentialsProvider, region string, now func() time.Time) func(context.Context, *http.Request, []byte) error {
	signer := v4.NewSigner()
	return func(ctx context.Context, r *http.Request, body []byte) error {
		c, err := credentials.Retrieve(ctx)
		if err != nil {
			return fmt.Errorf("reading the AWS credentials: %w", err)
		}
		sum := sha256.Sum256(body)
		return signer.SignHTTP(ctx, c, r, hex.EncodeToString(sum[:]), "aps", regionOf(r.URL.Hostname(), region), now())
	}
}

// regionOf reads aps-workspaces.REGION.amazonaws.com.
func regionOf(host, otherwise string) string {
	rest, ok := strings.CutPrefix(host, "aps-workspaces.")
	if region, _, found := strings.Cut(rest, "."); ok && found {
		return region
	}
	return otherwise
}
