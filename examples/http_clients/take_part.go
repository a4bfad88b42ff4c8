// Take part in one round of a federated job over HTTP, with Go's standard library alone.
//
//	go run take_part.go KEY.pem CONTROL_PLANE AGGREGATOR
//
// KEY.pem is the enrolled device's P-256 key (python -m adapters.enrol makes one), the other two are public URLs. The
// training is a stand-in: it moves every weight by 0.1. Float32 models alone; replace train with your own.
package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
	"sort"
	"strings"
	"time"
)

const (
	tensorsType = "application/vnd.safetensors"
	mostBytes   = 1 << 30
)

// Tensor is one of the manifest's.
type Tensor struct {
	Name  string `json:"name"`
	Dtype string `json:"dtype"`
	Shape []int  `json:"shape"`
}

// Notice is how a job stands.
type Notice struct {
	Version     string   `json:"version"`
	State       string   `json:"state"`
	Audience    string   `json:"audience"`
	Model       string   `json:"model"`
	Round       string   `json:"round_id"`
	ModelDigest string   `json:"model_digest"`
	Tensors     []Tensor `json:"tensors"`
}

// Device is an enrolled key, and whom it speaks to.
type Device struct {
	key        *ecdsa.PrivateKey
	x, y       string
	thumbprint string
	plane      string
	aggregator string
	client     *http.Client
}

func b64url(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func hash(raw []byte) []byte {
	sum := sha256.Sum256(raw)
	return sum[:]
}

func random() string {
	raw := make([]byte, 16)
	if _, err := rand.Read(raw); err != nil {
		log.Fatal(err)
	}
	return hex.EncodeToString(raw)
}

func open(path, plane, aggregator string) (*Device, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", path)
	}
	found, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := found.(*ecdsa.PrivateKey)
	if !ok || key.Curve.Params().BitSize != 256 {
		return nil, fmt.Errorf("%s holds no P-256 key", path)
	}
	public, err := key.PublicKey.ECDH()
	if err != nil {
		return nil, err
	}
	point := public.Bytes()
	x, y := b64url(point[1:33]), b64url(point[33:])
	// The device's name follows from its key (RFC 7638).
	canonical := fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, x, y)
	return &Device{
		key: key, x: x, y: y, thumbprint: b64url(hash([]byte(canonical))),
		plane: strings.TrimRight(plane, "/"), aggregator: strings.TrimRight(aggregator, "/"),
		client: &http.Client{Timeout: 2 * time.Minute},
	}, nil
}

// sign returns r and s, 32 bytes each, as ES256 and RFC 9421 want them.
func (d *Device) sign(message []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, d.key, hash(message))
	if err != nil {
		return nil, err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature, nil
}

// proof returns a DPoP proof (RFC 9449).
func (d *Device) proof(method, target, token, digest string) (string, error) {
	claims := map[string]any{"jti": random(), "htm": method, "htu": target, "iat": time.Now().Unix()}
	if token != "" {
		claims["ath"] = b64url(hash([]byte(token)))
	}
	if digest != "" {
		claims["ztfm_digest"] = digest
	}
	jwk := map[string]string{"kty": "EC", "crv": "P-256", "x": d.x, "y": d.y}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	head := b64url(header) + "." + b64url(payload)
	signature, err := d.sign([]byte(head))
	return head + "." + b64url(signature), err
}

// ask sends one request and returns the body and headers of a success.
func (d *Device) ask(method, url string, body []byte, headers map[string]string) ([]byte, http.Header, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	found, err := io.ReadAll(io.LimitReader(answer.Body, mostBytes))
	if err == nil && answer.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %s %s", method, url, answer.Status, found)
	}
	return found, answer.Header, err
}

func (d *Device) notice(after string) (*Notice, error) {
	url := d.aggregator + "/v1/rounds/current"
	if after != "" {
		url += "?after=" + after
	}
	body, _, err := d.ask("GET", url, nil, nil)
	if err != nil {
		return nil, err
	}
	found := &Notice{}
	return found, json.Unmarshal(body, found)
}

// announce asks to be invited to the next round.
func (d *Device) announce(audience string) error {
	proof, err := d.proof("IDENTIFY", "urn:ztfm:"+audience+":", "", "")
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"subject": "dev-" + d.thumbprint, "proof": proof})
	if err != nil {
		return err
	}
	_, _, err = d.ask("POST", d.aggregator+"/v1/members", body, map[string]string{"Content-Type": "application/json"})
	return err
}

// shown asks the control plane for a capability and returns the headers that show it to the aggregator.
func (d *Device) shown(now *Notice, action, method, digest string) (map[string]string, error) {
	resource := map[string]any{"type": "model", "id": now.Model}
	context := map[string]string{"round_id": now.Round}
	if action == "model_access" {
		resource["properties"] = map[string]string{"digest": now.ModelDigest}
		context["purpose"] = "training"
	}
	body, err := json.Marshal(map[string]any{
		"action": action, "resource": resource, "audience": now.Audience, "context": context,
	})
	if err != nil {
		return nil, err
	}
	url := d.plane + "/v1/capabilities"
	proof, err := d.proof("POST", url, "", "")
	if err != nil {
		return nil, err
	}
	answer, _, err := d.ask("POST", url, body, map[string]string{"Content-Type": "application/json", "DPoP": proof})
	if err != nil {
		return nil, err
	}
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(answer, &granted); err != nil {
		return nil, err
	}
	proof, err = d.proof(method, "urn:ztfm:"+now.Audience+":"+now.Round, granted.Token, digest)
	return map[string]string{"Authorization": "DPoP " + granted.Token, "DPoP": proof}, err
}

// pull returns the weights of a round.
func (d *Device) pull(now *Notice) ([]byte, error) {
	headers, err := d.shown(now, "model_access", "PULL", "")
	if err != nil {
		return nil, err
	}
	weights, answered, err := d.ask("GET", d.aggregator+"/v1/models/"+now.Model, nil, headers)
	if err != nil {
		return nil, err
	}
	if answered.Get("Content-Digest") != contentDigest(weights) {
		return nil, errors.New("the weights were changed on their way")
	}
	return weights, nil
}

// submit sends an update, signed (RFC 9421).
func (d *Device) submit(now *Notice, update []byte, digest string, examples int) ([]byte, error) {
	headers, err := d.shown(now, "gradient_submission", "SUBMIT", digest)
	if err != nil {
		return nil, err
	}
	url := fmt.Sprintf("%s/v1/rounds/%s/updates?examples=%d", d.aggregator, now.Round, examples)
	headers["Content-Type"] = tensorsType
	headers["Content-Digest"] = contentDigest(update)
	covered := [][2]string{
		{"@method", "POST"}, {"@target-uri", url}, {"authorization", headers["Authorization"]},
		{"content-digest", headers["Content-Digest"]}, {"content-type", tensorsType},
	}
	var base strings.Builder
	names := make([]string, 0, len(covered))
	for _, one := range covered {
		fmt.Fprintf(&base, "%q: %s\n", one[0], one[1])
		names = append(names, `"`+one[0]+`"`)
	}
	params := fmt.Sprintf(`(%s);created=%d;keyid="%s";alg="ecdsa-p256-sha256";nonce="%s"`,
		strings.Join(names, " "), time.Now().Unix(), d.thumbprint, random())
	base.WriteString(`"@signature-params": ` + params)
	signature, err := d.sign([]byte(base.String()))
	if err != nil {
		return nil, err
	}
	headers["Signature-Input"] = "ztfm=" + params
	headers["Signature"] = "ztfm=:" + base64.StdEncoding.EncodeToString(signature) + ":"
	answer, _, err := d.ask("POST", url, update, headers)
	return answer, err
}

func contentDigest(body []byte) string {
	return "sha-256=:" + base64.StdEncoding.EncodeToString(hash(body)) + ":"
}

// train returns the values of an update by name: trained minus received.
func train(now *Notice, _ []byte) (map[string][]float32, error) {
	update := map[string][]float32{}
	for _, tensor := range now.Tensors {
		if tensor.Dtype != "float32" {
			return nil, fmt.Errorf("only float32 is trained here, %s is %s", tensor.Name, tensor.Dtype)
		}
		count := 1
		for _, size := range tensor.Shape {
			count *= size
		}
		values := make([]float32, count)
		for place := range values {
			values[place] = 0.1
		}
		update[tensor.Name] = values
	}
	return update, nil
}

// write returns an update as a safetensors file, and the digest that its proof needs.
func write(now *Notice, update map[string][]float32) ([]byte, string, error) {
	tensors := append([]Tensor(nil), now.Tensors...)
	sort.Slice(tensors, func(one, other int) bool { return tensors[one].Name < tensors[other].Name })
	type entry struct {
		Dtype   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, digest := map[string]entry{}, sha256.New()
	var values bytes.Buffer
	for _, tensor := range tensors {
		start := values.Len()
		for _, value := range update[tensor.Name] {
			if err := binary.Write(&values, binary.LittleEndian, math.Float32bits(value)); err != nil {
				return nil, "", err
			}
		}
		header[tensor.Name] = entry{"F32", tensor.Shape, [2]int{start, values.Len()}}
		form := "float32" + strings.ReplaceAll(fmt.Sprint(tensor.Shape), " ", ",")
		for _, part := range [][]byte{[]byte(tensor.Name), []byte(form), values.Bytes()[start:]} {
			digest.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(part))))
			digest.Write(part)
		}
	}
	head, err := json.Marshal(header)
	if err != nil {
		return nil, "", err
	}
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	return append(file, values.Bytes()...), "sha256:" + hex.EncodeToString(digest.Sum(nil)), nil
}

func takePart(device *Device) ([]byte, error) {
	now, err := device.notice("")
	if err != nil {
		return nil, err
	}
	if err := device.announce(now.Audience); err != nil {
		return nil, err
	}
	for now.State != "open" {
		if now.State == "ended" || now.State == "stopped" {
			return nil, errors.New("the job is over")
		}
		if now, err = device.notice(now.Version); err != nil {
			return nil, err
		}
	}
	weights, err := device.pull(now)
	if err != nil {
		return nil, err
	}
	update, err := train(now, weights)
	if err != nil {
		return nil, err
	}
	file, digest, err := write(now, update)
	if err != nil {
		return nil, err
	}
	return device.submit(now, file, digest, 10)
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: take_part KEY.pem CONTROL_PLANE AGGREGATOR")
	}
	device, err := open(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	answer, err := takePart(device)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
}
