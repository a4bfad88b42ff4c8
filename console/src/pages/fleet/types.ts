/** What the control plane says of devices. */

export interface Trust {
  readonly score: number;
  readonly observations: number;
}

export interface Attestation {
  readonly level: "none" | "software" | "hardware";
  readonly verified_at?: number | null;
  readonly expires_at?: number | null;
}

export type Status = "active" | "quarantined" | "revoked";

export interface Listed {
  readonly id: string;
  readonly roles: readonly string[];
  readonly segment: string;
  readonly status: Status;
  readonly held: boolean;
  readonly state: string;
  readonly since?: number | null;
  readonly trust: Trust;
  readonly e_value: number;
  readonly observed_at?: number | null;
  readonly enrolled_at: number;
  readonly attested?: string | null;
}

export interface DevicesFound {
  readonly devices: readonly Listed[];
  readonly total: number;
  readonly next_token: string;
}

export interface Device {
  readonly id: string;
  readonly key: { readonly kty: string; readonly crv: string; readonly x: string; readonly y: string };
  readonly key_thumbprint: string;
  readonly roles: readonly string[];
  readonly segment: string;
  readonly status: Status;
  readonly attestation: Attestation;
  readonly trust: Trust;
  readonly enrolled_at: number;
}

export interface FeatureShare {
  readonly name: string;
  readonly share: number;
  readonly value: number;
  readonly expected: number;
}

export interface Attribution {
  readonly features: readonly FeatureShare[];
  readonly layers: readonly { readonly name: string; readonly share: number }[];
  readonly attack: string;
  readonly confidence: number;
  readonly atlas?: string | null;
  readonly owasp?: string | null;
  readonly sentence: string;
}

export interface Verdict {
  readonly time: number;
  readonly channel: string;
  readonly round_id?: string | null;
  readonly decision_id: string;
  readonly state: string;
  readonly was: string;
  readonly p_value?: number | null;
  readonly e_value: number;
  readonly trust: number;
  readonly attribution?: Attribution | null;
}

export interface Behaviour {
  readonly subject: string;
  readonly segment: string;
  readonly status: Status;
  readonly held: boolean;
  readonly state: string;
  readonly since?: number | null;
  readonly e_value: number;
  readonly trust: Trust;
  readonly observed_at?: number | null;
  readonly e_values: Readonly<Record<string, number>>;
  readonly verdicts: readonly Verdict[];
}

/** Where a device stands, in a word: its behaviour's, or what a person said. */
export function standing(device: { status: Status; state: string; held: boolean }): string {
  if (device.status === "active") return device.state;
  return device.held ? "held" : device.status;
}
