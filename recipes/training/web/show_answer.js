// On a phone the answer comes below the screen: scroll to it.
() => { if (innerWidth < 700) document.querySelector("#left").scrollIntoView({behavior: "smooth"}) }
