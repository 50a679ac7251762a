export const id = 892;
export const ids = [892];
export const modules = {

/***/ 1885:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ c)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_GIXA2TAJ_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(5475);
/* harmony import */ var _chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(1481);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
async function c(a,o){try{await o()}catch(r){(0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_2__.m)((0,_chunk_GIXA2TAJ_js__WEBPACK_IMPORTED_MODULE_1__.c)(`${a}: ${r instanceof Error?r.message:String(r)}`))}}


/***/ }),

/***/ 8892:
/***/ ((__webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.a(__webpack_module__, async (__webpack_handle_async_dependencies__, __webpack_async_result__) => { try {
__webpack_require__.r(__webpack_exports__);
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(4091);
/* harmony import */ var _chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(1885);
/* harmony import */ var _chunk_GIXA2TAJ_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(5475);
/* harmony import */ var _chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(1481);
/* harmony import */ var _chunk_OZJG4VPO_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(2564);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(9473);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_8__ = __webpack_require__(1455);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
async function m(){await (0,_chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_2__.a)("The probe's namespace could not be removed",()=>u((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.b))),await (0,_chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_2__.a)("The clusters' Leases could not be given back",()=>p((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.c))),await (0,_chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_2__.a)("The temporary folder could not be removed",()=>c((0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.r)(_chunk_P6VSIOKT_js__WEBPACK_IMPORTED_MODULE_1__.a)))}async function c(e){e&&await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_8__.rm)(e,{recursive:!0,force:!0})}async function p(e){if(!e)return;await(await Promise.all(/* import() */[__webpack_require__.e(635), __webpack_require__.e(567)]).then(__webpack_require__.bind(__webpack_require__, 5567))).releaseLeases(e)}async function u(e){if(!e)return;let t=await Promise.all(/* import() */[__webpack_require__.e(635), __webpack_require__.e(567)]).then(__webpack_require__.bind(__webpack_require__, 5567));await Promise.all(e.split(" ").map(t.removeProbes))}await m();

__webpack_async_result__();
} catch(e) { __webpack_async_result__(e); } }, 1);

/***/ })

};
