import { mount, unmount } from 'svelte'
import App from './App.svelte'
import { enter } from './api/client'
import { onShow } from './host'
import { go } from './route.svelte'
import { takeLink } from './session.svelte'
import { snapshot } from './state.svelte'
import './style.css'
import { base, language, speak } from './texts'

/** So long the first picture may wait for what it has to say, in milliseconds: drawing it twice takes longer. */
const BLINK = 100

const target = document.getElementById('app')
if (!target) throw new Error('index.html has no #app')

onShow((view) => go(view)) // before anything is waited for: the window is led to a view as soon as its page is there

const link = takeLink()
if (link) await enter(link)
await Promise.race([snapshot.read(), new Promise((done) => setTimeout(done, BLINK))])
await speak(snapshot.connections?.language)

let app: ReturnType<typeof mount> | undefined

/** Draws everything, in the language that is spoken now. */
function draw(): void {
  if (app) void unmount(app)
  document.documentElement.lang = base(language)
  if (target) app = mount(App, { target })
}

draw()
snapshot.onRead = async () => (await speak(snapshot.connections?.language)) && draw()
