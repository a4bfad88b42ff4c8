/** The federation as it trains: rounds, how devices stand, what was measured, and what is undone. */

import { useLocation, useRoute } from "preact-iso";
import { EvidencePart } from "./federation/evidence";
import "./federation/federation.css";
import { Orders } from "./federation/orders";
import { Round } from "./federation/round";
import { Rounds } from "./federation/rounds";
import { Standings } from "./federation/standing";

export default function Federation() {
  const { params } = useRoute();
  const { query } = useLocation();
  const round = params.round;
  return (
    <>
      <h1>Federation</h1>
      <Standings />
      {round === undefined ? (
        <Rounds chosen={undefined} />
      ) : (
        <div class="split beside">
          <Rounds chosen={round} />
          <Round id={round} />
        </div>
      )}
      <EvidencePart device={query.device} />
      <Orders />
    </>
  );
}
