/** The fleet: who is enrolled, one device in full, and what changed today. */

import { useRoute } from "preact-iso";
import { DevicePart } from "./fleet/device";
import "./fleet/fleet.css";
import { DeviceList } from "./fleet/list";
import { Today } from "./fleet/today";

export default function Fleet() {
  const { params } = useRoute();
  const id = params.id;
  return (
    <>
      <h1>Fleet</h1>
      {id === undefined ? (
        <DeviceList chosen={undefined} />
      ) : (
        <div class="split beside">
          <DeviceList chosen={id} />
          <DevicePart id={id} />
        </div>
      )}
      <Today />
    </>
  );
}
