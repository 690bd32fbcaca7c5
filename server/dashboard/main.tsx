import './style/main.css';
import { render } from 'preact';
import { onServerTime, setTop } from './api/calls.ts';
import { App } from './app.tsx';
import { noteServerTime, startClock } from './state/clock.ts';
import { startRouting } from './state/route.ts';
import { startSession } from './state/session.ts';

const root = document.getElementById('app');
if (root === null) throw new Error('expected the page to have #app');

// The server says how far up its top is, so that any path prefix a proxy puts before it works.
const top = new URL(root.dataset['top'] ?? '../', location.href).pathname;
setTop(top);
startRouting(`${top}dashboard`);
startClock();
onServerTime(noteServerTime);
root.replaceChildren();
render(<App />, root);
void startSession();
