/** Segments: who may talk to whom on the network, whether one reaches another, and where devices are. */

import { Attachments } from "./segments/attachments";
import { ReachPart } from "./segments/reach";
import "./segments/segments.css";
import { Ways } from "./segments/ways";

export default function Segments() {
  return (
    <>
      <h1>Segments</h1>
      <Ways />
      <ReachPart />
      <Attachments />
    </>
  );
}
