// The page of `epode serve --web`: two accounts side by side.

import { askHints } from './hints.js';
import { Pane } from './pane.js';
import { part } from './parts.js';

const hints = await askHints(location);
const template = part<HTMLTemplateElement>(document, 'pane-template');
const [first, second] = ['First account', 'Second account'].map((title) => new Pane(title, template, hints));
if (!first || !second) throw new Error('there are two panes');
const [alice, bob = alice] = hints.accounts.map(({ jid }) => jid);
first.suggest(alice, bob);
second.suggest(bob, alice);
part(document, 'domain').textContent = hints.domain;
part(document, 'note').textContent = hints.note;
part(document, 'note').hidden = !hints.note;
part(document, 'without-tls').hidden = location.protocol === 'https:';
part(document, 'panes').append(first.element, second.element);
// Another address of the same page, with another key.
addEventListener('hashchange', () => location.reload());
