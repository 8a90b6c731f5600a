import { mount } from 'svelte'
import App from './App.svelte'
import { enter } from './api/client'
import { takeLink } from './session.svelte'
import './style.css'

const target = document.getElementById('app')
if (!target) throw new Error('index.html has no #app')

const link = takeLink()
if (link) await enter(link)
mount(App, { target })
