// The way in where no window is around the page: the secret of a link, which is
// in the fragment and good once, becomes a session that only this page knows,
// in its memory: a reload asks for a new link. The window needs none of it, and
// neither does a page that is being developed.

let bearer = $state('')
let ended = $state(false)

export const session = {
  /** Whether this page runs in a browser tab of the user's, by a link. */
  get here(): boolean {
    return bearer !== ''
  },
  get ended(): boolean {
    return ended
  },
  begin(secret: string): void {
    bearer = secret
  },
  /** Signs a request. */
  sign(request: Request): void {
    if (bearer) request.headers.set('Authorization', `Bearer ${bearer}`)
  },
  end(): void {
    bearer = ''
    ended = true
  },
}

/** The secret in the fragment, once: it is not for the history, nor for a bookmark. */
export function takeLink(): string | undefined {
  const link = /^#enter=([\w-]+)$/.exec(location.hash)?.[1]
  if (link) history.replaceState(null, '', location.pathname)
  return link
}
