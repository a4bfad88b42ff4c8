#!/bin/sh
# Take part in one round of a federated job over HTTP, with curl and openssl alone.
#
#   sh take_part.sh KEY.pem CONTROL_PLANE AGGREGATOR
#
# KEY.pem is the enrolled device's P-256 key (python -m adapters.enrol makes one), the other two are public URLs. The
# training is a stand-in: it moves every weight by 0.1. Float32 models alone; replace `train` with your own.
set -eu

[ $# -eq 3 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
key=$1 plane=$2 aggregator=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

b64() { openssl base64 -A; }
b64url() { b64 | tr '+/' '-_' | tr -d '='; }
sha256() { openssl dgst -sha256 -binary; }
random() { openssl rand -hex 16; }
# The text of a member of flat JSON on standard input.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

# ES256 and RFC 9421 want r and s as 32 bytes each; openssl writes them as numbers in DER.
sign() {
  openssl dgst -sha256 -sign "$key" | openssl asn1parse -inform DER | sed -n 's/.*INTEGER *://p' |
    while read -r number; do printf '%64s' "$number" | tr ' ' 0; done | sed 's/../& /g' |
    tr ' ' '\n' | while read -r byte; do [ -z "$byte" ] || printf "\\$(printf '%03o' "0x$byte")"; done
}

# A number as eight bytes, the lowest first.
le8() {
  number=$1 place=0
  while [ $place -lt 8 ]; do
    printf "\\$(printf '%03o' $((number & 255)))"
    number=$((number >> 8)) place=$((place + 1))
  done
}

# The public key: the last 64 bytes of its DER are x and y. The device's name follows from it (RFC 7638).
openssl pkey -in "$key" -pubout -outform DER | tail -c 64 > "$work/point"
x=$(head -c 32 "$work/point" | b64url) y=$(tail -c 32 "$work/point" | b64url)
jwk='{"kty":"EC","crv":"P-256","x":"'$x'","y":"'$y'"}'
thumbprint=$(printf '{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}' "$x" "$y" | sha256 | b64url)
device=dev-$thumbprint

# proof METHOD TARGET [CLAIMS]: a DPoP proof (RFC 9449).
proof() {
  claims='{"jti":"'$(random)'","htm":"'$1'","htu":"'$2'","iat":'$(date +%s)${3:-}'}'
  head=$(printf '{"typ":"dpop+jwt","alg":"ES256","jwk":%s}' "$jwk" | b64url).$(printf '%s' "$claims" | b64url)
  printf '%s.%s' "$head" "$(printf '%s' "$head" | sign | b64url)"
}

# with_token METHOD TOKEN [CLAIMS]: one that goes with a capability, for this round.
with_token() {
  proof "$1" "urn:ztfm:$audience:$round" ',"ath":"'"$(printf '%s' "$2" | sha256 | b64url)"'"'"${3:-}"
}

# capability BODY: ask the control plane.
capability() {
  curl --silent --show-error --fail-with-body --max-time 20 --header 'Content-Type: application/json' \
    --header "DPoP: $(proof POST "$plane/v1/capabilities")" --data "$1" "$plane/v1/capabilities" | field access_token
}

notice() { curl --silent --show-error --fail-with-body --max-time 60 "$aggregator/v1/rounds/current$1"; }

# train: write update.safetensors (trained minus received) and what its digest is of.
train() {
  printf '%s\n' "$now" | tr '{' '\n' |
    sed -n 's/^"name":"\([^"]*\)","dtype":"\([^"]*\)","shape":\[\([0-9,]*\)\].*/\1 \2 [\3]/p' > "$work/tensors"
  : > "$work/values" && : > "$work/digested" && : > "$work/header"
  start=0
  while read -r name dtype shape; do
    [ "$dtype" = float32 ] || { echo "only float32 is trained here, $name is $dtype" >&2; exit 1; }
    count=1
    for size in $(printf '%s' "$shape" | tr '[],' '   '); do count=$((count * size)); done
    : > "$work/tensor"
    number=0
    while [ $number -lt $count ]; do printf '\315\314\314\075'; number=$((number + 1)); done > "$work/tensor"
    printf ',"%s":{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}' \
      "$name" "$shape" "$start" $((start + 4 * count)) >> "$work/header"
    for part in "$name" "float32$shape"; do le8 ${#part}; printf '%s' "$part"; done >> "$work/digested"
    { le8 $((4 * count)); cat "$work/tensor"; } >> "$work/digested"
    cat "$work/tensor" >> "$work/values"
    start=$((start + 4 * count))
  done < "$work/tensors"
  header={$(tail -c +2 "$work/header")}
  while [ $((${#header} % 8)) -ne 0 ]; do header="$header "; done
  { le8 ${#header}; printf '%s' "$header"; cat "$work/values"; } > "$work/update.safetensors"
}

# 1. Say who is there, and wait for a round.
now=$(notice '')
audience=$(printf '%s' "$now" | field audience) model=$(printf '%s' "$now" | field model)
curl --silent --show-error --fail-with-body --max-time 20 --header 'Content-Type: application/json' --output /dev/null \
  --data '{"subject":"'$device'","proof":"'"$(proof IDENTIFY "urn:ztfm:$audience:")"'"}' "$aggregator/v1/members"
while [ "$(printf '%s' "$now" | field state)" != open ]; do
  now=$(notice "?after=$(printf '%s' "$now" | field version)")
  case $(printf '%s' "$now" | field state) in ended | stopped) echo 'the job is over' >&2; exit 1 ;; esac
done
round=$(printf '%s' "$now" | field round_id) digest=$(printf '%s' "$now" | field model_digest)

# 2. Pull the weights.
token=$(capability '{"action":"model_access","resource":{"type":"model","id":"'"$model"'","properties":{"digest":"'"$digest"'"}},"audience":"'"$audience"'","context":{"purpose":"training","round_id":"'"$round"'"}}')
curl --silent --show-error --fail-with-body --max-time 120 --output "$work/weights.safetensors" \
  --dump-header "$work/headers" --header "Authorization: DPoP $token" \
  --header "DPoP: $(with_token PULL "$token")" "$aggregator/v1/models/$model"
tr -d '\r' < "$work/headers" | grep -qix "content-digest: sha-256=:$(sha256 < "$work/weights.safetensors" | b64):" ||
  { echo 'the weights were changed on their way' >&2; exit 1; }

# 3. Train, and name the update.
train
update=sha256:$(openssl dgst -sha256 -r < "$work/digested" | cut -c 1-64)

# 4. Ask for the submission, sign the request (RFC 9421) and send the update.
token=$(capability '{"action":"gradient_submission","resource":{"type":"model","id":"'"$model"'"},"audience":"'"$audience"'","context":{"round_id":"'"$round"'"}}')
url="$aggregator/v1/rounds/$round/updates?examples=10"
content="sha-256=:$(sha256 < "$work/update.safetensors" | b64):"
type=application/vnd.safetensors
covered='("@method" "@target-uri" "authorization" "content-digest" "content-type")'
params="$covered;created=$(date +%s);keyid=\"$thumbprint\";alg=\"ecdsa-p256-sha256\";nonce=\"$(random)\""
signature=$(printf '"@method": POST\n"@target-uri": %s\n"authorization": DPoP %s\n"content-digest": %s\n"content-type": %s\n"@signature-params": %s' \
  "$url" "$token" "$content" "$type" "$params" | sign | b64)
curl --silent --show-error --fail-with-body --max-time 120 --header "Content-Type: $type" \
  --header "Authorization: DPoP $token" \
  --header "DPoP: $(with_token SUBMIT "$token" ',"ztfm_digest":"'"$update"'"')" \
  --header "Content-Digest: $content" --header "Signature-Input: ztfm=$params" --header "Signature: ztfm=:$signature:" \
  --data-binary @"$work/update.safetensors" "$url"
echo
