// Where the user is. The address is the state: back and forward work, and the
// tray leads to a view by its address ("connect?provider=github").

export type Route =
  | { view: 'connections' }
  | { view: 'activity'; connection: string; about: string }
  | { view: 'settings' }
  | { view: 'own' }
  | { view: 'connect' }
  | { view: 'provider'; id: string; connection?: string }
  | { view: 'attempt'; state: string }

export function parse(address: string): Route {
  const [view, query] = address.replace(/^#/, '').split('?', 2)
  const named = new URLSearchParams(query)
  switch (view) {
    case 'activity':
      return { view: 'activity', connection: named.get('connection') ?? '', about: named.get('about') ?? '' }
    case 'connect': {
      const id = named.get('provider')
      return id ? { view: 'provider', id, connection: named.get('connection') ?? '' } : { view: 'connect' }
    }
    case 'own':
      return { view: 'own' }
    case 'settings':
      return { view: 'settings' }
    case 'attempt': {
      const state = named.get('state')
      return state ? { view: 'attempt', state } : { view: 'connections' }
    }
    default:
      return { view: 'connections' }
  }
}

/** A view with what is not empty of its query. */
function withQuery(view: string, query: Record<string, string>): string {
  const said = new URLSearchParams(Object.entries(query).filter(([, value]) => value))
  return said.size > 0 ? `${view}?${said}` : view
}

export function address(route: Route): string {
  switch (route.view) {
    case 'activity':
      return withQuery('#activity', { connection: route.connection, about: route.about })
    case 'provider':
      return withQuery('#connect', { provider: route.id, connection: route.connection ?? '' })
    case 'attempt':
      return withQuery('#attempt', { state: route.state })
    default:
      return '#' + route.view
  }
}

class Here {
  route = $state<Route>(parse(location.hash))
}

export const here = new Here()

window.addEventListener('hashchange', () => (here.route = parse(location.hash)))

export function go(to: Route | string): void {
  location.hash = typeof to === 'string' ? to : address(to)
}

/** Goes on without leaving this place in the history: back skips it. */
export function replace(to: Route): void {
  history.replaceState(null, '', address(to))
  here.route = to
}
