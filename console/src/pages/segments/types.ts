/** What the control plane says of ways on the network. */

export interface Service {
  readonly audience: string;
  readonly addresses: readonly string[];
  readonly protocol: "tcp" | "udp";
  readonly ports: readonly number[];
}

export interface Grant {
  readonly id: string;
  readonly device: string;
  readonly source: string;
  readonly service: string;
  readonly expires_at: number;
  readonly decision: string;
  readonly segment: string;
  readonly site: string;
  readonly device_class: string;
}

export interface Cut {
  readonly device: string;
  readonly address: string;
  readonly reason: string;
}

export interface GrantTable {
  readonly revision: string;
  readonly policy_revision: string;
  readonly made_at: number;
  readonly services: Readonly<Record<string, Service>>;
  readonly grants: readonly Grant[];
  readonly cuts: readonly Cut[];
}

export interface Attachment {
  readonly device: string;
  readonly address: string;
  readonly site: string;
  readonly line?: string | null;
  readonly device_class: string;
  readonly recorded_at: number;
}

export interface Reach {
  readonly device?: string | null;
  readonly service?: string | null;
  readonly reach: {
    readonly source: string;
    readonly destination: string;
    readonly protocol: string;
    readonly port: number;
    readonly reaches: boolean;
    readonly because: string;
    readonly until?: number | null;
  };
}
