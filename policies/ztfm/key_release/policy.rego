# METADATA
# title: Key release
# description: |
#   Decides whether a secret is sealed to a device's platform: a key of data, or the key of a part of a model's weights.
#   What is asked of whom, `data/secrets` says under the secret's name.
# schemas:
#   - input: schema.input.key_release
package ztfm.key_release

import data.data.limits
import data.data.secrets
import data.ztfm.lib.subject
import data.ztfm.lib.verdict

# METADATA
# title: Decision
# description: Whether the secret is released.
# entrypoint: true
decision := verdict.of(required, (required - proven) - platform, granted)

# METADATA
# title: Secret
# description: What is said of the secret that is asked for; undefined when nobody named it.
secret := secrets[input.resource.id]

# METADATA
# title: Proven
# description: The requirements on secret, subject and capability that hold.
# scope: document
proven contains "secret_known" if {
	input.resource.type == "secret"
	is_number(secret.ttl_seconds)
	secret.ttl_seconds >= 5
	is_well_named
	input.context.registered == true
}

proven contains "subject_known" if subject.is_enrolled

proven contains "subject_active" if input.subject.properties.status == "active"

proven contains "network_allowed" if subject.is_in_network

proven contains "secret_for_segment" if secret.segments[input.subject.properties.segment] == true

proven contains "trust_sufficient" if {
	is_number(secret.trust_minimum)
	subject.trust >= secret.trust_minimum
}

proven contains "secret_for_purpose" if is_object(secret.purposes[input.context.purpose])

proven contains "role_granted" if {
	some role in input.subject.properties.roles
	secret.purposes[input.context.purpose][role] == true
}

proven contains "pull_capability_holds" if {
	input.context.capability.verified == true
	input.context.capability.cause == ""
}

proven contains "pull_capability_fresh" if {
	is_number(limits.capability_age_seconds)
	input.context.capability.age_seconds >= 0
	input.context.capability.age_seconds <= limits.capability_age_seconds
}

proven contains "pull_capability_for_model" if {
	input.context.capability.model == secret.shard.model
	input.context.capability.purpose == input.context.purpose
}

proven contains "pull_capability_for_shard" if input.context.capability.whole == true

proven contains "pull_capability_for_shard" if {
	input.context.capability.whole == false
	some shard in input.context.capability.shards
	shard == secret.shard.name
}

# METADATA
# title: Granted
# description: To the release key of which evidence the secret is sealed, and how long it may be relied on.
# scope: document
default granted := {"obligations": {}, "ttl_seconds": 0}

granted := {"obligations": {"release_to": min(youngest)}, "ttl_seconds": secret.ttl_seconds} if count(bound) > 0
