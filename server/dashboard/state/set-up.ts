/** What the fragment of a set-up link says. It never reaches the server by itself: fragments are not sent. */
export type SetUpLink =
  | { kind: 'first'; secret: string }
  | { kind: 'person'; secret: string; email: string }
  | { kind: 'none' };

/** `#first=SECRET` of a new server, or `#setup=SECRET&email=WHO` for a person who was added. */
export function readSetUpLink(fragment: string): SetUpLink {
  const said = new URLSearchParams(fragment.replace(/^#/, ''));
  const first = said.get('first');
  if (first !== null && first !== '') return { kind: 'first', secret: first };
  const secret = said.get('setup');
  if (secret !== null && secret !== '') return { kind: 'person', secret, email: said.get('email') ?? '' };
  return { kind: 'none' };
}

/** The link for a person who was added: opened, it leads them through setting up their authenticator. */
export function setUpLinkFor(page: string, person: { email: string; setup_secret: string }): string {
  const fragment = new URLSearchParams({ setup: person.setup_secret, email: person.email });
  return `${new URL(page, location.href).href}#${fragment.toString()}`;
}
