/** What a device has proven of its platform. */

import { get } from "../../api/client";
import { useFresh } from "../../api/fresh";
import { Command } from "../../ui/command";
import { Badge, Code, Moment, Refused } from "../../ui/parts";
import type { Attestation } from "./types";

interface Result {
  readonly kind: string;
  readonly level: string;
  readonly reference: string;
  readonly platform: string;
  readonly verified_at: number;
  readonly expires_at: number;
  readonly decision_id: string;
}

interface Proven {
  readonly attestation: Attestation;
  readonly results: readonly Result[];
}

export function Attested({ id }: { id: string }) {
  const path = `/v1/devices/${encodeURIComponent(id)}/attestation`;
  const found = useFresh((signal) => get<Proven>(path, {}, signal), [id], ["devices"]);
  const proven = found.value;
  return (
    <>
      <h3>Attestation</h3>
      <Refused refusal={found.refusal} />
      {proven === undefined ? null : <Level attestation={proven.attestation} />}
      {proven === undefined || proven.results.length === 0 ? null : (
        <table class="plain" aria-label="Evidence of the platform">
          <thead>
            <tr>
              <th scope="col">Evidence</th>
              <th scope="col">Proves</th>
              <th scope="col">Reference</th>
              <th scope="col">Platform</th>
              <th scope="col">Until</th>
              <th scope="col">Appraisal</th>
            </tr>
          </thead>
          <tbody>
            {proven.results.map((result) => (
              <tr key={result.kind}>
                <td>{result.kind}</td>
                <td>{result.level}</td>
                <td>{result.reference}</td>
                <td class="name">
                  <Code text={result.platform} />
                </td>
                <td>
                  <Moment seconds={result.expires_at} />
                </td>
                <td>
                  <a href={`/console/decisions/${result.decision_id}`}>decision</a>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <Command text={`ztfm devices attestation ${id}`} />
    </>
  );
}

function Level({ attestation }: { attestation: Attestation }) {
  const { level, verified_at, expires_at } = attestation;
  if (verified_at == null) return <p class="empty">Nothing is proven of its platform.</p>;
  const isOver = expires_at != null && expires_at * 1000 < Date.now();
  return (
    <p>
      <Badge tone={isOver ? "warn" : "good"}>{level}</Badge> {isOver ? "expired; " : ""}appraised{" "}
      <Moment seconds={verified_at} />
      {expires_at == null ? null : (
        <>
          , counts until <Moment seconds={expires_at} />
        </>
      )}
    </p>
  );
}
