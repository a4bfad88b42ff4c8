// Verifies what another implementation issued: reads one JSON object, prints who each document names, or why not.
package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

type asked struct {
	TrustDomain string   `json:"trust_domain"`
	Bundle      string   `json:"bundle"`
	Certificate string   `json:"certificate"`
	Key         string   `json:"key"`
	Token       string   `json:"token"`
	Audience    string   `json:"audience"`
	Names       []string `json:"names"`
}

func main() {
	var given asked
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	found := map[string]any{}
	domain, err := spiffeid.TrustDomainFromString(given.TrustDomain)
	found["trust_domain"] = said(domain.Name(), err)
	bundle, err := spiffebundle.Parse(domain, []byte(given.Bundle))
	if err != nil {
		found["bundle"] = said("", err)
	} else {
		sequence, _ := bundle.SequenceNumber()
		found["bundle"] = map[string]any{
			"authorities": len(bundle.X509Authorities()),
			"keys":        len(bundle.JWTAuthorities()),
			"sequence":    sequence,
		}
		found["x509"] = x509Name(given, bundle)
		found["jwt"] = jwtName(given, bundle)
	}
	names := []bool{}
	for _, name := range given.Names {
		_, err := spiffeid.FromString(name)
		names = append(names, err == nil)
	}
	found["names"] = names
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(1)
	}
}

func x509Name(given asked, bundle *spiffebundle.Bundle) string {
	if given.Key != "" {
		svid, err := x509svid.Parse([]byte(given.Certificate), []byte(given.Key))
		if err != nil {
			return said("", err)
		}
		id, _, err := x509svid.Verify(svid.Certificates, bundle)
		return said(id.String(), err)
	}
	block, _ := pem.Decode([]byte(given.Certificate))
	if block == nil {
		return "error: no certificate"
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return said("", err)
	}
	id, _, err := x509svid.Verify([]*x509.Certificate{certificate}, bundle)
	return said(id.String(), err)
}

func jwtName(given asked, bundle *spiffebundle.Bundle) string {
	svid, err := jwtsvid.ParseAndValidate(given.Token, bundle, []string{given.Audience})
	if err != nil {
		return said("", err)
	}
	return svid.ID.String()
}

func said(value string, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return value
}
