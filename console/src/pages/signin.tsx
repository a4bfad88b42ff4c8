/** Sign-in: with people's identity provider, or with a key that this browser keeps. */

import { get } from "../api/client";
import { useLoaded } from "../api/loading";
import { resume } from "../session";
import { Part, Refused } from "../ui/parts";
import { ThemeSwitch } from "../ui/theme";
import { ByKey } from "./signin/key";
import { CameBack } from "./signin/returned";
import "./signin/signin.css";

interface Means {
  readonly url: string;
  readonly provider?: string;
  readonly bootstrap: boolean;
}

export function SignIn() {
  const { value, refusal, isLoading, again } = useLoaded((signal) => get<Means>("/v1/console/sign-in", {}, signal), []);
  return (
    <main class="signin">
      <div class="signin-head">
        <h1>Sign in to the ZTFM console</h1>
        <ThemeSwitch />
      </div>
      <CameBack />
      <Refused refusal={refusal} />
      {value === undefined && !isLoading ? (
        <button
          type="button"
          onClick={() => {
            again();
            resume();
          }}
        >
          Try again
        </button>
      ) : null}
      {value === undefined && isLoading ? (
        <p class="empty" role="status">
          Asking how one signs in here …
        </p>
      ) : null}
      {value === undefined ? null : <Ways means={value} />}
    </main>
  );
}

function Ways({ means }: { means: Means }) {
  // What a proof names, and what a cookie belongs to, is this address alone.
  if (means.url !== location.origin) return <Elsewhere url={means.url} />;
  return (
    <>
      {means.provider === undefined ? null : <ByProvider provider={means.provider} />}
      <ByKey isFirst={means.bootstrap} />
    </>
  );
}

function ByProvider({ provider }: { provider: string }) {
  const here = `${location.pathname}${location.search.includes("refused=") ? "" : location.search}`;
  return (
    <Part title="With your account">
      <p>
        You sign in at <strong>{new URL(provider).host}</strong>, and come back here. What you may do follows from your
        groups there.
      </p>
      <a class="button main" href={`/v1/console/oidc/start?return=${encodeURIComponent(here)}`}>
        Sign in with {new URL(provider).host}
      </a>
    </Part>
  );
}

function Elsewhere({ url }: { url: string }) {
  return (
    <div class="refused" role="alert">
      <strong>The console is reached at another address</strong>
      <p>
        This control plane goes by <a href={`${url}/console/`}>{url}</a>; keys and sessions count there alone. Whoever
        runs it sets the address with ZTFM_PUBLIC_URL.
      </p>
    </div>
  );
}
