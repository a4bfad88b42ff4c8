/** The frame around the pages: who is signed in, where one is, and the way to the others. */

import { useEffect } from "preact/hooks";
import { ErrorBoundary, LocationProvider, lazy, Route, Router, useLocation } from "preact-iso";
import { isLive } from "./api/live";
import { SignIn } from "./pages/signin";
import { resume, session, signOut, stillSignedIn } from "./session";
import { Refused } from "./ui/parts";
import { ThemeSwitch } from "./ui/theme";

const Federation = lazy(() => import("./pages/federation"));
const Decisions = lazy(() => import("./pages/decisions"));
const Fleet = lazy(() => import("./pages/fleet"));
const Segments = lazy(() => import("./pages/segments"));
const Policies = lazy(() => import("./pages/policies"));

const PAGES = [
  ["/console/federation", "Federation"],
  ["/console/decisions", "Decisions"],
  ["/console/fleet", "Fleet"],
  ["/console/segments", "Segments"],
  ["/console/policies", "Policies"],
] as const;

export function App() {
  useEffect(() => {
    resume();
  }, []);
  if (session.value === undefined) return <p class="waiting">Loading …</p>;
  if (session.value === null) return <SignIn />;
  return (
    <LocationProvider scope="/console">
      <a class="skip" href="#main">
        To the content
      </a>
      <Header />
      <Refused refusal={stillSignedIn.value} />
      <main id="main" tabIndex={-1}>
        <ErrorBoundary>
          <Router>
            <Route path="/console/federation" component={Federation} />
            <Route path="/console/federation/:round" component={Federation} />
            <Route path="/console/decisions" component={Decisions} />
            <Route path="/console/decisions/:id" component={Decisions} />
            <Route path="/console/fleet" component={Fleet} />
            <Route path="/console/fleet/:id" component={Fleet} />
            <Route path="/console/segments" component={Segments} />
            <Route path="/console/policies" component={Policies} />
            <Route default component={Elsewhere} />
          </Router>
        </ErrorBoundary>
      </main>
    </LocationProvider>
  );
}

function Header() {
  const { path } = useLocation();
  return (
    <header class="top">
      <span class="brand">
        <img src="/console/icon.svg" alt="" width="22" height="22" /> ZTFM
      </span>
      <nav aria-label="Pages">
        {PAGES.map(([href, name]) => (
          <a key={href} href={href} aria-current={path.startsWith(href) ? "page" : undefined}>
            {name}
          </a>
        ))}
      </nav>
      <span class={isLive.value ? "live on" : "live"} role="status">
        {isLive.value ? "live" : "not live"}
      </span>
      <ThemeSwitch />
      <span class="who" title={session.value?.subject}>
        {session.value?.name}
      </span>
      <button type="button" onClick={signOut}>
        Sign out
      </button>
    </header>
  );
}

function Elsewhere() {
  const { route } = useLocation();
  useEffect(() => route("/console/federation", true), [route]);
  return null;
}
